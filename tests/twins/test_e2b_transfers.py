"""What goes into a sandbox of the E2B twin and comes out, where somebody reads meanwhile or nobody does."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import KEY, LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from e2b import AsyncSandbox

pytestmark = pytest.mark.skipif(
    LIVE or tier.probe().name != "namespaces", reason="looks behind the twin, which needs user namespaces"
)


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    async with staged(home) as stage:
        await stage.admin_call("PUT", "limits", {"enforced": False})
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create(metadata={"app": "mine"})
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stage.base, headers={"X-API-KEY": KEY}, trust_env=False, timeout=60) as api:
        yield api


async def test_a_reader_never_sees_an_overwritten_file_empty(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/watched.txt", "x" * 2000)
    reader = await sandbox.commands.run(
        "while [ ! -e /tmp/enough ]; do [ -s /app/watched.txt ] || echo empty; done; echo over",
        background=True,
        timeout=60,
    )
    for number in range(150):
        await sandbox.files.write("/app/watched.txt", str(number % 10) * (1000 + number))
    await sandbox.files.write("/tmp/enough", "")
    assert (await reader.wait()).stdout == "over\n"
    assert await sandbox.files.read("/app/watched.txt") == "9" * 1149


async def test_files_are_put_together(stage: Stage, api: httpx.AsyncClient, sandbox: AsyncSandbox) -> None:
    token = (await api.get(f"/sandboxes/{sandbox.sandbox_id}")).json()["envdAccessToken"]
    for number in range(3):
        await sandbox.files.write(f"/tmp/part{number}", f"part {number}\n")
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token}
    body = {"source_paths": [f"/tmp/part{number}" for number in range(3)], "destination": "/tmp/whole"}
    made = await api.post("/files/compose", headers=headers, json=body)
    assert made.json() == {"name": "whole", "type": "file", "path": "/tmp/whole"}
    assert await sandbox.files.read("/tmp/whole") == "part 0\npart 1\npart 2\n"
    assert not await sandbox.files.exists("/tmp/part0")


async def test_a_listener_that_does_not_listen_holds_the_command_up(
    stage: Stage, api: httpx.AsyncClient, sandbox: AsyncSandbox
) -> None:
    token = (await api.get(f"/sandboxes/{sandbox.sandbox_id}")).json()["envdAccessToken"]
    command = "head -c 300000000 /dev/zero; touch /tmp/flooded"
    body = json.dumps({"process": {"cmd": "/bin/bash", "args": ["-c", command]}, "stdin": False}).encode()
    headers = {
        "E2b-Sandbox-Id": sandbox.sandbox_id,
        "X-Access-Token": token,
        "content-type": "application/connect+json",
        "connect-protocol-version": "1",
    }
    envelope = b"\0" + len(body).to_bytes(4, "big") + body
    async with api.stream("POST", "/process.Process/Start", headers=headers, content=envelope) as stream:
        chunks = stream.aiter_raw(1000)
        await anext(chunks)

        async def written() -> int:
            return int((await sandbox.commands.run("awk '/wchar/ { print $2 }' /proc/$(pgrep -x head)/io")).stdout)

        async def stands_still() -> bool:
            return await written() == await written() == await written()

        await e2b_stage.eventually(stands_still)
        assert await written() < 30_000_000
    # Gone is the listener, and nothing holds it up any more.
    await e2b_stage.eventually(lambda: sandbox.files.exists("/tmp/flooded"))
