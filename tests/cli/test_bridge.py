"""The stdio bridge: an unmodified MCP client on one side, the HTTP endpoint on the other, in both eras."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer

from agent_loop.cli.bridge import Bridge
from agent_loop.cli.client import Client as ApiClient
from server.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import sys
from agent_loop.cli.bridge import Bridge
from agent_loop.cli.client import Client
Bridge(lambda: Client(int(sys.argv[1])), sys.stdout).run(sys.stdin)
"""
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A real MCP server over HTTP."""
    mcp: MCPServer[Any] = MCPServer("bridged", log_level="ERROR")

    @mcp.tool()
    async def greet(name: str) -> str:  # pyright: ignore[reportUnusedFunction] - registered
        """Say hello."""
        return f"Hello, {name}"

    @mcp.tool()
    async def dawdle() -> str:  # pyright: ignore[reportUnusedFunction] - registered
        """Take for ever."""
        await asyncio.sleep(60)
        return "late"

    @mcp.resource("skill://wörk/SKILL.md")
    def skill() -> str:  # pyright: ignore[reportUnusedFunction] - registered
        return "how to"

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(mcp.streamable_http_app(stateless_http=True), log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def spoken(port: int, *messages: Any) -> list[dict[str, Any]]:
    """What the bridge writes for these lines, until its input ends."""
    out = io.StringIO()
    lines = [line if isinstance(line, str) else json.dumps(line) for line in messages]
    Bridge(lambda: ApiClient(port), out).run(iter(lines))
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_real_client_over_stdio_lists_calls_and_reads_in_both_eras(port: int, mode: Any) -> None:
    program = StdioServerParameters(command=sys.executable, args=["-P", "-c", PROGRAM, str(port)])
    async with asyncio.timeout(30), Client(program, mode=mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"greet", "dawdle"}
        answers = await asyncio.gather(*(client.call_tool("greet", {"name": str(n)}) for n in range(8)))
        assert [answer.content[0].text for answer in answers] == [f"Hello, {n}" for n in range(8)]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - text
        read = await client.read_resource("skill://wörk/SKILL.md")
        assert read.contents[0].text == "how to"  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - text


def test_a_notification_gets_no_answer(port: int) -> None:
    assert spoken(port, {"jsonrpc": "2.0", "method": "notifications/initialized"}) == []


def test_a_line_that_is_no_message_is_answered_with_a_parse_error(port: int) -> None:
    answers = spoken(port, "{ not json", "[]", "")
    assert [answer["error"]["code"] for answer in answers] == [-32700, -32700]


def test_a_cancelled_call_is_hung_up_and_nobody_is_told(port: int) -> None:
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "dawdle", "_meta": MODERN}}
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7, "_meta": MODERN}}
    out = io.StringIO()
    bridge = Bridge(lambda: ApiClient(port), out)

    def lines() -> Iterator[str]:
        yield json.dumps(call)
        end = time.monotonic() + 10
        while 7 not in bridge._open and not out.getvalue() and time.monotonic() < end:  # pyright: ignore[reportPrivateUsage] - to be sure it is under way
            time.sleep(0.01)
        yield json.dumps(cancel)

    began = time.monotonic()
    bridge.run(lines())
    assert time.monotonic() - began < 10, out.getvalue()
    assert not any(json.loads(line).get("id") == 7 for line in out.getvalue().splitlines())


def test_a_server_that_cannot_start_is_a_json_rpc_error_with_our_sentence() -> None:
    def broken() -> ApiClient:
        raise StackError("There is no room.", next_action="Make some.")

    out = io.StringIO()
    ping = {"jsonrpc": "2.0", "id": "a", "method": "tools/list"}
    Bridge(broken, out).run(iter([json.dumps(ping)]))
    assert json.loads(out.getvalue())["error"]["message"] == "There is no room. Make some."


def test_a_server_that_went_away_is_found_again_once(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()[1]
    found = iter([dead, port])
    out = io.StringIO()
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": MODERN}}
    Bridge(lambda: ApiClient(next(found)), out).run(iter([json.dumps(call)]))
    assert json.loads(out.getvalue())["id"] == 1
