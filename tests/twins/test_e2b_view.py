"""What a person sees of the E2B twin, and its state as a whole: put aside, emptied, brought back."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from e2b import AsyncSandbox, AsyncTemplate, SandboxState
from e2b.exceptions import SandboxException

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import KEY, LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


async def test_the_state_is_put_aside_brought_back_and_emptied(stage: Stage, api: httpx.AsyncClient) -> None:
    template = AsyncTemplate().from_template("mk0r").run_cmd("echo built > /root/built")
    await AsyncTemplate.build(template, "kept-template", **stage.api)
    running, asleep = await stage.create("kept-template"), await stage.create(metadata={"app": "asleep"})
    await running.files.write("/app/note.txt", "then")
    await running.files.write("/tmp/note.txt", "in memory")
    await asleep.pause()
    assert (await stage.admin_call("POST", "snapshots", {"name": "then"})).status_code == 201
    await running.files.write("/app/note.txt", "later")
    newer = await stage.create()
    assert (await stage.admin_call("POST", "reset")).status_code == 204
    assert (await api.get("/v2/sandboxes")).json() == []
    assert [each["templateID"] for each in (await api.get("/v2/templates")).json()] == ["mk0r"]
    assert (await stage.admin_call("POST", "snapshots/then/restore")).status_code == 204
    assert await running.files.read("/app/note.txt") == "then"
    assert await running.files.read("/root/built") == "built\n"
    assert await running.files.read("/tmp/note.txt") == "in memory"
    assert (await asleep.get_info()).state == SandboxState.PAUSED
    with pytest.raises(SandboxException):
        await newer.get_info()
    again = await stage.create("kept-template")
    assert await again.files.read("/root/built") == "built\n"
    await stage.admin_call("DELETE", "snapshots/then")
    await stage.admin_call("POST", "reset")


async def test_a_person_sees_sandboxes_processes_logs_and_files(stage: Stage, sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("echo said by a command")
    await sandbox.files.write("/app/.env", "SECRET='hidden'\n")
    sleeper = await sandbox.commands.run("sleep 4242", background=True, timeout=0)

    async def seen(at: str) -> str:
        return (await stage.admin_call("GET", f"view?at={at}")).text

    assert f"sandbox/{sandbox.sandbox_id}" in await seen("")
    async with asyncio.timeout(10):
        while "sleep 4242" not in (page := await seen(f"sandbox/{sandbox.sandbox_id}")):  # noqa: ASYNC110 - its shell comes first
            await asyncio.sleep(0.02)
    for text in ("sleep 4242", "app=mine", "said by a command", "the package registry", "MiB", "node dev.mjs"):
        assert text in page, text
    assert "dev.mjs" in await seen(f"files/{sandbox.sandbox_id}/app")
    assert "createServer" in await seen(f"files/{sandbox.sandbox_id}/app/dev.mjs")
    assert "hidden" not in await seen(f"files/{sandbox.sandbox_id}/app/.env")
    assert "mk0r" in await seen("template/mk0r")
    assert (await stage.admin_call("GET", "view?at=sandbox/nobody")).status_code == 404
    await sleeper.kill()
