"""The app in a sandbox of the E2B twin, asked from outside: by host name, at its plain door, asleep."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from e2b import AsyncSandbox, SandboxState

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, eventually, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.skipif(
    not LIVE and tier.probe().name != "namespaces", reason="no user namespaces on this machine"
)
local_only = pytest.mark.skipif(LIVE, reason="looks behind the twin")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    async with staged(home) as stage:
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture(scope="module")
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create(metadata={"app": "shared"}, envs={"SESSION": "one"})
    yield sandbox
    await sandbox.kill()


async def answers(url: str, **headers: str) -> httpx.Response | None:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            response = await client.get(url, headers=headers)
        except httpx.TransportError:
            return None
    return response if response.status_code == 200 else None


async def door_of(stage: Stage, sandbox: AsyncSandbox) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {stage.admin}"}
        listed = (await client.get(f"{stage.base}/_twin/sandboxes", headers=headers)).json()
    return next(each["door"] for each in listed if each["sandbox_id"] == sandbox.sandbox_id)


@local_only
async def test_the_app_answers_by_host_name_and_at_its_plain_door(stage: Stage, sandbox: AsyncSandbox) -> None:
    host = sandbox.get_host(5173)
    assert host == f"5173-{sandbox.sandbox_id}.localhost:{stage.port}"
    by_name = await eventually(lambda: answers(f"{stage.base}/some/path?x=1", host=host))
    assert by_name.text == f"hello {host} /some/path?x=1"
    assert by_name.headers["x-app"] == "yes"
    by_door = await eventually(lambda: _answers_at_the_door(stage, sandbox))
    assert by_door.headers["x-app"] == "yes"


async def _answers_at_the_door(stage: Stage, sandbox: AsyncSandbox) -> httpx.Response | None:
    return await answers(await door_of(stage, sandbox))


@local_only
async def test_a_preview_streams_both_ways(stage: Stage, sandbox: AsyncSandbox) -> None:
    headers = {"host": sandbox.get_host(5173)}
    await eventually(lambda: answers(stage.base, **headers))
    async with httpx.AsyncClient(trust_env=False, base_url=stage.base, headers=headers) as client:
        async with client.stream("GET", "/stream") as response:
            chunks = [chunk async for chunk in response.aiter_raw()]
        assert chunks == [b"one", b"two"]

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b"x" * 20_000

        assert len((await client.post("/echo", content=parts())).content) == 1_000_000


@local_only
async def test_a_preview_carries_web_sockets_at_both_doors(stage: Stage, sandbox: AsyncSandbox) -> None:
    from websockets.asyncio.client import connect

    host = sandbox.get_host(5173)
    await eventually(lambda: answers(stage.base, host=host))
    at_door = (await door_of(stage, sandbox)).removeprefix("http://")
    # The app never answers a goodbye.
    async with connect(f"ws://{at_door}/", proxy=None, close_timeout=0.1) as direct:
        assert await direct.recv() == "from the app"
    sock = socket.create_connection(("127.0.0.1", stage.port))
    sock.setblocking(False)
    async with connect(f"ws://{host}/", sock=sock, proxy=None, close_timeout=0.1) as named:
        assert await named.recv() == "from the app"


@local_only
async def test_a_port_nobody_listens_on_and_a_sleeping_sandbox_answer_502(stage: Stage) -> None:
    sandbox = await stage.create()
    door = await door_of(stage, sandbox)
    async with httpx.AsyncClient(trust_env=False) as client:
        closed = await client.get(stage.base, headers={"host": sandbox.get_host(4000)})
        assert closed.status_code == 502
        assert "port is not open" in closed.json()["message"]
        await sandbox.pause()
        asleep = await client.get(stage.base, headers={"host": sandbox.get_host(5173)})
        assert asleep.status_code == 502
        assert "was not found" in asleep.json()["message"]
        assert (await client.get(door)).status_code == 502
    await sandbox.kill()


@local_only
async def test_traffic_wakes_a_sandbox_that_asked_for_it(stage: Stage) -> None:
    sandbox = await stage.create(lifecycle={"on_timeout": "pause", "auto_resume": True})
    await eventually(lambda: answers(stage.base, host=sandbox.get_host(5173)))
    await sandbox.pause()
    assert await answers(stage.base, host=sandbox.get_host(5173))
    assert (await sandbox.get_info()).state == SandboxState.RUNNING
    await sandbox.kill()
