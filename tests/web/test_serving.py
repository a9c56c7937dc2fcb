"""One server per home: its port, its lock, its start and its end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent_loop.web import serving
from server.errors import StackError
from server.local.home import Home
from server.local.progress import StackStep
from tests.web.conftest import never

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from agent_loop.web.boot import Boot, Parts

BOUND = 15


@dataclass
class Served:
    """One `serve` under way."""

    home: Home
    task: asyncio.Task[int]
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.told[0]['port']}"

    def file(self) -> dict[str, Any]:
        return json.loads(self.home.server_file.read_text())


@asynccontextmanager
async def serve(home: Home, *, open_parts: Any = never, **options: Any) -> AsyncGenerator[Served]:
    told: list[dict[str, Any]] = []
    heard = asyncio.Event()

    def announce(line: dict[str, Any]) -> None:
        told.append(line)
        heard.set()

    work = serving.serve(home, environ={}, announce=announce, open_parts=open_parts, **options)
    served = Served(home, asyncio.create_task(work), told)
    try:
        async with asyncio.timeout(BOUND):
            await heard.wait()
        yield served
    finally:
        if not served.task.done():
            async with httpx.AsyncClient() as http:
                token = {"Authorization": f"Bearer {served.file()['token']}"}
                await http.post(f"{served.url}/api/down", json={}, headers=token)
        async with asyncio.timeout(BOUND):
            await served.task


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_it_answers_at_once_and_says_where_it_is_in_a_private_file(home: Home) -> None:
    async with serve(home) as server, httpx.AsyncClient() as http:
        assert (await http.get(f"{server.url}/api/stack")).json()["ready"] is False
        assert server.file()["pid"] == os.getpid()
        assert home.server_file.stat().st_mode & 0o777 == 0o600
    assert await server.task == 0
    assert "token" not in server.file()


async def test_a_second_server_of_the_same_home_is_refused_with_the_firsts_address(home: Home) -> None:
    async with serve(home) as first, serve(home) as second:
        assert "already" in second.told[0]["error"]["message"]
        assert first.url in second.told[0]["error"]["message"]
        assert await second.task == 3


async def test_a_named_port_that_is_taken_is_an_error_and_leaves_nothing_behind(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with serve(home, port=port) as server:
            assert f"Port {port}" in server.told[0]["error"]["message"]
            assert await server.task == 1
    async with serve(home, port=port) as server:
        assert server.told[0]["port"] == port


async def test_a_port_nobody_named_gives_way_and_is_remembered(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(serving, "DEFAULT_PORT", taken.getsockname()[1])
        async with serve(home) as first:
            assert first.told[0]["port"] != taken.getsockname()[1]
    async with serve(home) as second:
        assert second.told[0]["port"] == first.told[0]["port"]


async def test_a_start_that_fails_is_told_while_it_lasts_and_kept_for_who_comes_later(home: Home) -> None:
    async def fail(boot: Boot, stack: AsyncExitStack) -> Parts:
        boot.report(StackStep("PostgreSQL", "failed", "no room", 7))
        raise StackError("There is no room.", next_action="Make some.", code="full")

    async with serve(home, open_parts=fail) as server, httpx.AsyncClient() as http:
        told = (await http.get(f"{server.url}/api/stack")).json()
        assert told["error"] == {"code": "full", "message": "There is no room.", "next_action": "Make some."}
        assert told["steps"] == [{"name": "PostgreSQL", "state": "failed", "detail": "no room", "ms": 7}]
        assert await server.task == 1
    assert server.file()["error"]["code"] == "full"


async def test_a_fault_of_our_own_in_the_start_is_a_sentence_too(home: Home) -> None:
    async def crash(boot: Boot, stack: AsyncExitStack) -> Parts:
        raise ZeroDivisionError

    async with serve(home, open_parts=crash) as server:
        assert await server.task == 1
    assert "server.log" in server.file()["error"]["next_action"]
