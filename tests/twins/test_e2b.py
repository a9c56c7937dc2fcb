"""A sandbox of the E2B twin from its making to its end. Most of it also describes E2B itself (`tests/e2b_stage.py`)."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b import AsyncSandbox, AuthenticationException, SandboxNotFoundException, SandboxQuery, SandboxState
from e2b.exceptions import SandboxException, SandboxNotRunningException

from server.twins.core import Fault
from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, eventually, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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


async def test_a_sandbox_is_found_by_its_metadata(stage: Stage, sandbox: AsyncSandbox) -> None:
    listed = AsyncSandbox.list(query=SandboxQuery(metadata={"app": "shared"}), **stage.api)
    assert [each.sandbox_id for each in await listed.next_items()] == [sandbox.sandbox_id]
    nothing = AsyncSandbox.list(query=SandboxQuery(metadata={"app": "other"}), **stage.api)
    assert await nothing.next_items() == []
    paused = AsyncSandbox.list(query=SandboxQuery(metadata={"app": "shared"}, state=[SandboxState.PAUSED]), **stage.api)
    assert await paused.next_items() == []


async def test_a_long_list_comes_in_pages(stage: Stage) -> None:
    made = await asyncio.gather(*(stage.create(metadata={"of": "pages"}) for _ in range(3)))
    listed = AsyncSandbox.list(query=SandboxQuery(metadata={"of": "pages"}), limit=2, **stage.api)
    sizes: list[int] = []
    while listed.has_next:
        sizes.append(len(await listed.next_items()))
    assert sizes == [2, 1]
    await asyncio.gather(*(each.kill() for each in made))


async def test_a_wrong_or_missing_key_is_refused(stage: Stage) -> None:
    with pytest.raises(AuthenticationException):
        await stage.create(api_key="e2b_" + "f" * 40)
    if not LIVE:
        async with httpx.AsyncClient(trust_env=False) as client:
            refused = await client.get(f"{stage.base}/v2/sandboxes")
        assert refused.status_code == 401
        assert refused.json()["code"] == 401


@local_only
async def test_envd_takes_only_the_sandboxes_own_token(stage: Stage, sandbox: AsyncSandbox) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=stage.base) as client:
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": "guessed"}
        assert (await client.get("/files?path=/app/dev.mjs", headers=headers)).status_code == 401
        listed = await client.post("/process.Process/List", headers=headers, json={})
        assert (listed.status_code, listed.json()["code"]) == (401, 401)


async def test_an_idempotency_key_makes_one_sandbox(stage: Stage) -> None:
    key = f"mk0r-{os.urandom(6).hex()}"
    made = await asyncio.gather(*(stage.create(idempotency_key=key, metadata={"a": "b"}) for _ in range(3)))
    assert len({each.sandbox_id for each in made}) == 1
    if not LIVE:
        with pytest.raises(SandboxException, match="another request"):
            await stage.create(idempotency_key=key, metadata={"a": "other"})
    await made[0].kill()


async def test_a_killed_sandbox_is_gone(stage: Stage) -> None:
    sandbox = await stage.create()
    assert await sandbox.kill()
    assert not await sandbox.kill()
    assert not await sandbox.is_running()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    with pytest.raises(SandboxNotFoundException):
        await AsyncSandbox.connect(sandbox.sandbox_id, **stage.api)
    if not LIVE:
        await eventually(lambda: _value(not [*stage.home.sandboxes.glob(f"{sandbox.sandbox_id}*")]))


async def _value(value: Any) -> Any:
    return value


async def test_a_paused_sandbox_stands_still_and_goes_on(stage: Stage) -> None:
    sandbox = await stage.create()
    await sandbox.commands.run("while :; do date +%s%N > /tmp/now; done", background=True, timeout=0)
    assert await sandbox.pause()
    assert not await sandbox.pause()
    assert not await sandbox.is_running()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    with pytest.raises(SandboxNotRunningException):
        await sandbox.files.read("/app/dev.mjs")
    assert (await sandbox.get_info()).state == SandboxState.PAUSED
    resumed = await AsyncSandbox.connect(sandbox.sandbox_id, **stage.api)
    one = (await resumed.commands.run("cat /tmp/now")).stdout
    await eventually(lambda: _differs(resumed, one))
    await resumed.kill()


async def _differs(sandbox: AsyncSandbox, before: str) -> bool:
    return (await sandbox.commands.run("cat /tmp/now")).stdout not in ("", before)


async def test_a_sandbox_whose_time_is_over_is_killed_or_paused(stage: Stage) -> None:
    doomed, sleepy = await asyncio.gather(
        stage.create(timeout=1), stage.create(timeout=1, lifecycle={"on_timeout": "pause"})
    )
    await eventually(lambda: _is_gone(doomed))
    await eventually(lambda: _is_paused(sleepy))
    await (await AsyncSandbox.connect(sleepy.sandbox_id, **stage.api)).kill()


async def _is_gone(sandbox: AsyncSandbox) -> bool:
    try:
        await sandbox.get_info()
    except SandboxNotFoundException:
        return True
    return False


async def _is_paused(sandbox: AsyncSandbox) -> bool:
    return (await sandbox.get_info()).state == SandboxState.PAUSED


async def test_a_longer_timeout_can_be_set(stage: Stage) -> None:
    sandbox = await stage.create(timeout=60)
    before = (await sandbox.get_info()).end_at
    await sandbox.set_timeout(900)
    assert (await sandbox.get_info()).end_at > before
    await sandbox.kill()


@local_only
async def test_a_lost_answer_leaves_one_sandbox(tmp_path: Path) -> None:
    home = e2b_stage.make_home(tmp_path)
    async with staged(home) as stage, httpx.AsyncClient(trust_env=False, base_url=stage.base) as client:
        admin = {"Authorization": f"Bearer {stage.admin}"}
        fault = Fault(method="POST", path="/v2/sandboxes", lose_answer=True, times=1)
        await client.post("/_twin/faults", headers=admin, json={k: v for k, v in vars(fault).items() if v})
        with pytest.raises((SandboxException, httpx.TransportError)):
            await stage.create(idempotency_key="mk0r-lost", retries=0)
        again = await stage.create(idempotency_key="mk0r-lost")
        listed = (await client.get("/_twin/sandboxes", headers=admin)).json()
        assert [each["sandbox_id"] for each in listed] == [again.sandbox_id]
    e2b_stage.unmake_home(home)
