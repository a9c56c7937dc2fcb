"""What is left when the twin, its supervisor or a sandbox dies: the files and the records, and no process."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from e2b import AsyncSandbox, SandboxState

from server.twins.core import Records
from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from server.local.home import Home

pytestmark = pytest.mark.skipif(
    LIVE or tier.probe().name != "namespaces", reason="looks behind the twin, which needs user namespaces"
)

SERVE = """
import asyncio, sys
from pathlib import Path
from tests.e2b_stage import StageHome, staged

async def main():
    async with staged(StageHome(Path(sys.argv[1]), Path(sys.argv[2])), port=int(sys.argv[3])) as stage:
        print(stage.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    home = e2b_stage.make_home(tmp_path)
    yield home
    e2b_stage.unmake_home(home)


async def until(check: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)


async def app_answers(stage: Stage, sandbox: AsyncSandbox) -> None:
    end = time.monotonic() + 15
    async with httpx.AsyncClient(trust_env=False) as client:
        while (await client.get(stage.base, headers={"host": sandbox.get_host(5173)})).status_code != 200:
            assert time.monotonic() < end, "the app never answered"
            await asyncio.sleep(0.02)


def processes_of(sandbox_id: str) -> list[psutil.Process]:
    """What of a sandbox is alive: bubblewrap carries its folder in its arguments, and all else is below it."""
    found: list[psutil.Process] = []
    for each in psutil.process_iter():
        try:
            if each.status() != psutil.STATUS_ZOMBIE and any(sandbox_id in word for word in each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


def supervisor_of(home: Home) -> psutil.Process:
    return psutil.Process(int((home.twins / "e2b" / "supervisor.pid").read_text()))


async def test_a_restarted_twin_has_its_sandboxes_and_their_files(home: Home) -> None:
    async with staged(home) as stage:
        running, asleep = await stage.create(metadata={"app": "a"}), await stage.create()
        await running.files.write("/app/kept.txt", "kept")
        await running.commands.run("echo more > node_modules/more.txt")
        await asleep.pause()
    assert processes_of(running.sandbox_id) == []
    async with staged(home, port=stage.port) as again:
        listed = await AsyncSandbox.list(**again.api).next_items()
        assert {each.sandbox_id: each.state for each in listed} == {
            running.sandbox_id: SandboxState.RUNNING,
            asleep.sandbox_id: SandboxState.PAUSED,
        }
        done = await running.commands.run("cat kept.txt node_modules/more.txt")
        assert done.stdout == "keptmore\n"
        await app_answers(again, running)
        woken = await AsyncSandbox.connect(asleep.sandbox_id, **again.api)
        await app_answers(again, woken)


async def test_the_first_look_at_an_app_after_a_restart_waits_until_it_listens(home: Home) -> None:
    async with staged(home) as stage:
        mine, broken = await stage.create(), await stage.create()
        await mine.files.write("/app/dev.mjs", f"await new Promise((go) => setTimeout(go, 700))\n{e2b_stage.APP}")
        await broken.files.write("/app/dev.mjs", "process.exit(1)")
    async with staged(home, port=stage.port) as again, httpx.AsyncClient(trust_env=False) as client:
        for sandbox, status in ((mine, 200), (broken, 502)):
            look = await client.get(again.base, headers={"host": sandbox.get_host(5173)})
            assert look.status_code == status


async def test_the_plain_door_keeps_its_port_over_a_restart(home: Home) -> None:
    async def door(stage: Stage) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"Authorization": f"Bearer {stage.admin}"}
            listed = (await client.get(f"{stage.base}/_twin/sandboxes", headers=headers)).json()
        return listed[0]["door"]

    async with staged(home) as stage:
        sandbox = await stage.create()
        before = await door(stage)
    async with staged(home, port=stage.port) as again:
        await sandbox.commands.run("true")
        assert await door(again) == before


async def test_a_dead_supervisor_takes_every_sandbox_along_and_a_new_one_brings_them_back(home: Home) -> None:
    async with staged(home) as stage:
        sandbox = await stage.create()
        await sandbox.files.write("/app/kept.txt", "kept")
        before = processes_of(sandbox.sandbox_id)
        supervisor_of(home).kill()
        _, alive = psutil.wait_procs(before, timeout=5)
        assert alive == []
        assert (await sandbox.commands.run("cat kept.txt")).stdout == "kept"
        await app_answers(stage, sandbox)


async def test_a_sandbox_that_ends_itself_comes_back_with_its_files(home: Home) -> None:
    async with staged(home) as stage:
        sandbox = await stage.create()
        await sandbox.files.write("/app/kept.txt", "kept")
        await sandbox.commands.run("kill -9 -1", background=True)
        await until(lambda: not processes_of(sandbox.sandbox_id))
        assert (await sandbox.commands.run("cat kept.txt")).stdout == "kept"


async def test_a_command_whose_sandbox_dies_ends_with_an_error(home: Home) -> None:
    async with staged(home) as stage:
        sandbox = await stage.create()
        waiting = await sandbox.commands.run("sleep 1000", background=True, timeout=0)
        await sandbox.kill()
        with pytest.raises(Exception, match=r"."):
            await asyncio.wait_for(waiting.wait(), 10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_killed_twin_leaves_no_process_and_the_next_one_takes_over(home: Home, number: int) -> None:
    first, port = _serve(home, 0)
    stage = Stage(home, port, "the-admin")
    sandbox, asleep = await stage.create(), await stage.create()
    await sandbox.files.write("/app/kept.txt", "kept")
    await asleep.commands.run("sleep 1000", background=True)
    await asleep.pause()
    left = [*processes_of(sandbox.sandbox_id), *processes_of(asleep.sandbox_id), supervisor_of(home)]
    assert len(left) >= 3
    os.kill(first.pid, number)
    first.wait(20)
    _, alive = psutil.wait_procs(left, timeout=10)
    assert alive == []
    second, _ = _serve(home, port)
    assert (await sandbox.commands.run("cat kept.txt")).stdout == "kept"
    second.terminate()
    second.wait(20)


async def test_what_a_killed_twin_left_behind_is_ended_at_the_next_start(home: Home) -> None:
    """A supervisor that is stopped cannot notice that its twin has died."""
    first, port = _serve(home, 0)
    sandbox = await Stage(home, port, "the-admin").create()
    supervisor = supervisor_of(home)
    supervisor.suspend()
    first.kill()
    first.wait(20)
    assert supervisor.is_running()
    async with staged(home, port=port):
        assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE
        assert (await sandbox.commands.run("echo back")).stdout == "back\n"


def _serve(home: Home, port: int) -> tuple[subprocess.Popen[str], int]:
    words = [sys.executable, "-c", SERVE, str(home.root), str(home.stack), str(port)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


async def test_a_sandbox_that_was_being_made_when_the_twin_died_is_nobodys(home: Home) -> None:
    async with staged(home) as stage:
        whole = await stage.create()
    records = Records(home.twins / "e2b" / "records.sqlite")
    doc = records.get("sandbox", whole.sandbox_id)
    assert doc is not None
    records.put("sandbox", "ihalf", {**doc, "id": "ihalf", "state": "making"})
    records.close()
    async with staged(home, port=stage.port) as again:
        listed = await AsyncSandbox.list(**again.api).next_items()
        assert [each.sandbox_id for each in listed] == [whole.sandbox_id]
        assert (await whole.commands.run("echo whole")).stdout == "whole\n"
