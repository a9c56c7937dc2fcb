"""A sandbox of E2B over time: paused and brought back, its time moved and run out, awake again."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2b import AsyncSandbox, SandboxNotFoundException, SandboxState
from e2b.exceptions import SandboxNotRunningException

from tests.contract.e2b_sdk import eventually, options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Opener, Service


@pytest.fixture(scope="module")
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


@pytest.fixture(scope="module")
async def sandbox(e2b: Service) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create(timeout=600, metadata={"of": "test_e2b"}, **options(e2b))
    yield sandbox
    await sandbox.kill()


async def test_a_pause_keeps_memory_and_a_connect_brings_it_back(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, **options(e2b))
    counting = await sandbox.commands.run(
        "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.02; done", background=True, timeout=0
    )
    await eventually(lambda: sandbox.files.exists("/tmp/count"))
    assert await sandbox.pause()
    assert not await sandbox.pause()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    again = await AsyncSandbox.connect(sandbox.sandbox_id, timeout=120, **options(e2b))
    assert counting.pid in [each.pid for each in await again.commands.list()]
    await again.kill()


async def test_a_pause_of_the_files_alone_ends_the_processes(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, **options(e2b))
    sleeper = await sandbox.commands.run("sleep 1000", background=True, timeout=0)
    await sandbox.files.write("/tmp/kept.txt", "kept")
    assert await sandbox.pause(mode="filesystem")
    again = await AsyncSandbox.connect(sandbox.sandbox_id, timeout=120, **options(e2b))
    running = [each.args for each in await again.commands.list()]
    assert not any("sleep 1000" in " ".join(words) for words in running)
    assert sleeper.pid
    assert await again.files.read("/tmp/kept.txt") == "kept"
    await again.kill()


async def test_a_connect_may_reboot(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, **options(e2b))
    await sandbox.commands.run("sleep 1000", background=True, timeout=0)
    await sandbox.files.write("/tmp/kept.txt", "kept")
    await sandbox.pause()
    again = await AsyncSandbox.connect(sandbox.sandbox_id, on_resume="reboot", **options(e2b))
    assert not any("sleep 1000" in " ".join(each.args) for each in await again.commands.list())
    assert await again.files.read("/tmp/kept.txt") == "kept"
    await again.kill()


async def test_a_timeout_can_be_moved_and_a_connect_only_extends_it(e2b: Service, sandbox: AsyncSandbox) -> None:
    await sandbox.set_timeout(900)
    long = (await sandbox.get_info()).end_at
    await AsyncSandbox.connect(sandbox.sandbox_id, timeout=60, **options(e2b))
    assert (await sandbox.get_info()).end_at == long
    await sandbox.set_timeout(600)
    assert (await sandbox.get_info()).end_at < long


async def test_time_runs_out(e2b: Service) -> None:
    doomed = await AsyncSandbox.create(timeout=2, **options(e2b))
    sleepy = await AsyncSandbox.create(timeout=2, lifecycle={"on_timeout": "pause"}, **options(e2b))
    cold = await AsyncSandbox.create(
        timeout=2, lifecycle={"on_timeout": {"action": "pause", "mode": "filesystem"}}, **options(e2b)
    )

    async def is_gone() -> bool:
        try:
            await doomed.get_info()
        except SandboxNotFoundException:
            return True
        return False

    async def are_paused() -> bool:
        return {(await each.get_info()).state for each in (sleepy, cold)} == {SandboxState.PAUSED}

    await eventually(is_gone)
    await eventually(are_paused)
    for each in (sleepy, cold):
        assert (await each.get_info()).lifecycle == {"on_timeout": "pause", "auto_resume": False}
        await each.kill()


async def test_a_sandbox_that_may_wakes_for_a_command(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(
        timeout=60, lifecycle={"on_timeout": "pause", "auto_resume": True}, **options(e2b)
    )
    await sandbox.pause()
    assert (await sandbox.commands.run("echo awake")).stdout == "awake\n"
    assert (await sandbox.get_info()).state == SandboxState.RUNNING
    await sandbox.kill()
