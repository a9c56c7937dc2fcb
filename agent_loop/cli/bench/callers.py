"""Callers of the server's MCP door, many at once and cheap, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

VERSION = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "mk0r bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
WAIT_SECONDS = 50
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Asked:
    """One session as its caller saw it; moments in seconds since 1970."""

    key: str
    slug: str
    began: float
    ended: float


class Caller:
    """One connection, kept: an MCP client of the day as a library would make it, without the library."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def provision(self) -> Asked:
        """A new session, asked for and waited for. Raises `RuntimeError` for one that is not whole."""
        began = time.time()
        told = await self.call("provision_session", {"wait_seconds": WAIT_SECONDS})
        if told["state"] != "ready":
            raise RuntimeError(f"a session came to {told}")
        return Asked(told["session_key"], told["slug"], began, time.time())

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The tool's structured answer. Raises `RuntimeError` with what came instead."""
        asked = {"name": tool, "arguments": arguments, "_meta": _META}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\n"
            f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(head.encode() + body)
            text = await _body(reader)
        line = next((line[5:] for line in reversed(text.splitlines()) if line.startswith(b"data:")), text)
        told = json.loads(line)
        answer = told.get("result", {})
        if "structuredContent" not in answer or answer.get("isError"):
            raise RuntimeError(f"{tool} answered {told}")
        return answer["structuredContent"]

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    """One answer's body: of a stated length, or in chunks."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"\r\ncontent-length: " in head:
        return await reader.readexactly(int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0]))
    text = b""
    while size := int(await reader.readline(), 16):
        text += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return text


async def at_once(port: int, many: int) -> list[Asked]:
    """So many callers that each want a session at the same moment."""
    callers = [Caller(port) for _ in range(many)]
    try:
        return await asyncio.gather(*(caller.provision() for caller in callers))
    finally:
        for caller in callers:
            caller.close()


async def in_turns(port: int, many: int, wanted: int) -> list[Asked]:
    """`wanted` sessions by `many` callers, each of which asks for the next when it has one."""
    left = iter(range(wanted))

    async def work() -> list[Asked]:
        caller = Caller(port)
        try:
            return [await caller.provision() for _ in left]
        finally:
            caller.close()

    return [one for each in await asyncio.gather(*(work() for _ in range(many))) for one in each]
