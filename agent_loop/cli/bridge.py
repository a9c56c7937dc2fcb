"""`mk0r mcp`: JSON-RPC lines on stdin and stdout, each carried to the server's `/mcp` and back unread.

Serves both protocol eras, because it decides nothing: a message of 2026-07-28 says its version in `_meta`, an
older client's version is the one its own `initialize` settled (MCP specification, "Transports").
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from agent_loop.cli.client import Unreachable
from server.errors import Mk0rError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from agent_loop.cli.client import Client
    from agent_loop.cli.context import Context

VERSION_IN_META = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
INTERNAL_ERROR, PARSE_ERROR = -32603, -32700
AT_ONCE = 64
SILENCE_SECONDS = 120.0  # the server says `: ping` every 15 s while a call runs
_PLAIN = re.compile(r"^(?! )[\x20-\x7e]*(?<! )$")

Message = dict[str, Any]


def mcp(asked: Namespace, context: Context) -> int:
    """Until stdin ends. The server starts behind the first message, so a client is never kept waiting for nothing."""
    Bridge(context.server, sys.stdout).run(sys.stdin)
    return 0


class Bridge:
    """Carries messages between a client's pipe and the server."""

    def __init__(self, server: Callable[[], Client], out: TextIO) -> None:
        self._server = server
        self._client: Client | None = None
        self._out = out
        self._writing = threading.Lock()
        self._finding = threading.Lock()
        self._version: str | None = None
        self._open: dict[Any, http.client.HTTPConnection] = {}

    def run(self, lines: Iterator[str] | TextIO) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pool.submit(self._find)
            for line in lines:
                if line.strip():
                    pool.submit(self._carry, line)

    def _find(self) -> Client:
        with self._finding:
            if self._client is None:
                self._client = self._server()
            return self._client

    def _carry(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            self._fail(None, "That line is not JSON.", PARSE_ERROR)
            return
        if not isinstance(message, dict):
            self._fail(None, "A line holds one JSON-RPC message.", PARSE_ERROR)
            return
        self._send(message)  # pyright: ignore[reportUnknownArgumentType] - JSON

    def _send(self, message: Message) -> None:
        if message.get("method") == "notifications/cancelled":
            params: Message = message.get("params") or {}
            if connection := self._open.pop(params.get("requestId"), None):
                _hang_up(connection)  # closing the request is how HTTP cancels
        wanted = message.get("id") if "method" in message else None
        try:
            answered = self._exchange(self._find(), message)
        except Unreachable:
            answered = self._again(message)
        except (Mk0rError, OSError) as error:
            self._fail(wanted, str(error))
            return
        if wanted is not None and not answered:
            self._fail(wanted, "The call was cut off before it was answered.")

    def _again(self, message: Message) -> bool:
        """Once more, with the server found or started anew."""
        with self._finding:
            self._client = None
        try:
            return self._exchange(self._find(), message)
        except (Mk0rError, OSError) as error:
            self._fail(message.get("id"), str(error))
            return True

    def _exchange(self, client: Client, message: Message) -> bool:
        """Post one message and write out what comes back; whether its own answer was among it."""
        wanted = message.get("id")
        connection = http.client.HTTPConnection(client.host, client.port, timeout=SILENCE_SECONDS)
        try:
            # Whoever may run this command on this machine is the operator.
            headers = {**self._headers(message), **client.headers()}
            connection.request("POST", "/mcp", json.dumps(message), headers)
        except OSError as error:
            raise Unreachable("The mk0r server does not answer.", next_action="See `mk0r doctor`.") from error
        if wanted is not None:
            self._open[wanted] = connection
        answered = False
        try:
            answer = connection.getresponse()
            for told in _messages(answer):
                self._note_version(message, told)
                self._write(told)
                answered = answered or ("method" not in told and told.get("id") == wanted)
            if answer.status >= http.HTTPStatus.BAD_REQUEST and not answered:
                self._fail(wanted, f"The mk0r server answered {answer.status}.")
                return True
        except (http.client.HTTPException, OSError, ValueError):
            return wanted not in self._open  # cancelled: nobody waits for an answer
        finally:
            self._open.pop(wanted, None)
            connection.close()
        return answered or wanted is None

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        params: Message = message.get("params") or {}
        method = message.get("method")
        meta: Message = params.get("_meta") or {}
        modern: str | None = meta.get(VERSION_IN_META)
        if version := modern or (None if method == "initialize" else self._version):
            headers["MCP-Protocol-Version"] = version
        if modern and method:
            headers["Mcp-Method"] = _header(method)
            if name := params.get(NAMED_BY.get(method, "")):
                headers["Mcp-Name"] = _header(str(name))
        return headers

    def _note_version(self, asked: Message, told: Message) -> None:
        if asked.get("method") == "initialize" and isinstance(told.get("result"), dict):
            self._version = told["result"].get("protocolVersion")

    def _write(self, message: Message) -> None:
        with self._writing:
            self._out.write(json.dumps(message, separators=(",", ":")) + "\n")
            self._out.flush()

    def _fail(self, wanted: Any, sentence: str, code: int = INTERNAL_ERROR) -> None:
        if wanted is not None or code == PARSE_ERROR:
            self._write({"jsonrpc": "2.0", "id": wanted, "error": {"code": code, "message": sentence}})


def _messages(answer: http.client.HTTPResponse) -> Iterator[Message]:
    """The JSON-RPC messages of an answer: one in a JSON body, any number in an event stream."""
    if answer.getheader("content-type", "").startswith("text/event-stream"):
        data = ""
        for raw in iter(answer.readline, b""):
            line = raw.decode().rstrip("\r\n")
            if line.startswith("data:"):
                data += line[5:].removeprefix(" ")
            elif not line and data:
                yield json.loads(data)
                data = ""
        return
    body = answer.read()
    if body and answer.getheader("content-type", "").startswith("application/json"):
        told = json.loads(body)
        if isinstance(told, dict) and "jsonrpc" in told:
            yield told  # pyright: ignore[reportUnknownVariableType] - JSON


def _header(text: str) -> str:
    """A header value; what does not fit one goes in base64 (specification, "Value Encoding")."""
    if _PLAIN.match(text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _hang_up(connection: http.client.HTTPConnection) -> None:
    import socket

    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
