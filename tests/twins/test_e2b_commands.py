"""What runs in a sandbox of the E2B twin: commands, their input and output, how they end, and a terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from e2b import AsyncSandbox, CommandExitException, InvalidArgumentException, PtySize, TimeoutException

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


async def test_a_command_runs_as_root_in_app_with_the_sandboxes_environment(sandbox: AsyncSandbox) -> None:
    done = await sandbox.commands.run("id -u; pwd; echo $SESSION$EXTRA; echo sorry >&2", envs={"EXTRA": "!"})
    assert done.stdout.splitlines() == ["0", "/app", "one!"]
    assert done.stderr == "sorry\n"
    assert done.exit_code == 0


async def test_a_command_runs_where_it_is_told(sandbox: AsyncSandbox) -> None:
    assert (await sandbox.commands.run("pwd", cwd="/root")).stdout == "/root\n"
    with pytest.raises(InvalidArgumentException, match="'/nowhere' does not exist"):
        await sandbox.commands.run("pwd", cwd="/nowhere")


async def test_an_exit_code_comes_back_with_the_output(sandbox: AsyncSandbox) -> None:
    with pytest.raises(CommandExitException) as failed:
        await sandbox.commands.run("echo before; exit 3")
    assert failed.value.exit_code == 3
    assert failed.value.stdout == "before\n"


async def test_output_streams_while_a_command_runs(sandbox: AsyncSandbox) -> None:
    heard: list[str] = []
    running = await sandbox.commands.run(
        "echo one; read line; echo got $line", background=True, stdin=True, on_stdout=heard.append
    )
    waiting = asyncio.create_task(running.wait())
    await eventually(lambda: _value("one\n" in "".join(heard)))
    await sandbox.commands.send_stdin(running.pid, "two\n")
    await waiting
    assert "".join(heard) == "one\ngot two\n"


async def _value(value: Any) -> Any:
    return value


async def test_closing_stdin_ends_what_reads_it(sandbox: AsyncSandbox) -> None:
    cat = await sandbox.commands.run("cat", background=True, stdin=True)
    await sandbox.commands.send_stdin(cat.pid, "all of it" * 20_000)
    await sandbox.commands.close_stdin(cat.pid)
    assert (await cat.wait()).stdout == "all of it" * 20_000


async def test_a_background_command_is_listed_and_can_be_killed(sandbox: AsyncSandbox) -> None:
    sleeper = await sandbox.commands.run("sleep 1000 & sleep 1000", background=True)
    assert sleeper.pid in [each.pid for each in await sandbox.commands.list()]
    assert await sleeper.kill()
    with pytest.raises(CommandExitException) as ended:
        await sleeper.wait()
    assert ended.value.exit_code == -1
    assert not await sandbox.commands.kill(sleeper.pid)
    with pytest.raises(CommandExitException):
        await sandbox.commands.run("pgrep -f 'sleep 100[0]'")


async def test_a_process_id_is_the_one_the_sandbox_sees(sandbox: AsyncSandbox) -> None:
    running = await sandbox.commands.run("echo $$; read line", background=True, stdin=True)
    await sandbox.commands.send_stdin(running.pid, "\n")
    assert (await running.wait()).stdout == f"{running.pid}\n"


async def test_a_command_past_its_timeout_is_killed(sandbox: AsyncSandbox) -> None:
    with pytest.raises(TimeoutException):
        await sandbox.commands.run("sleep 4321", timeout=0.4)
    with pytest.raises(CommandExitException):  # there is none left to find
        await sandbox.commands.run("pgrep -f 'sleep 432[1]'")


@local_only
async def test_a_hundred_commands_at_once_all_answer(sandbox: AsyncSandbox) -> None:
    done = await asyncio.gather(*(sandbox.commands.run(f"echo {n}") for n in range(100)))
    assert [each.stdout for each in done] == [f"{n}\n" for n in range(100)]


async def test_a_flood_of_output_arrives_whole(sandbox: AsyncSandbox) -> None:
    done = await sandbox.commands.run("head -c 20000000 /dev/zero | tr '\\0' x")
    assert len(done.stdout) == 20_000_000


async def test_git_and_node_and_npm_work_inside(sandbox: AsyncSandbox) -> None:
    done = await sandbox.commands.run(
        "git -c init.defaultBranch=main init -q /tmp/repository && node -p 1+1 && npm --version", cwd="/app"
    )
    assert done.stdout.splitlines()[0] == "2"


async def test_a_terminal_can_be_had(sandbox: AsyncSandbox) -> None:
    heard: list[bytes] = []
    shell = await sandbox.pty.create(PtySize(rows=30, cols=100), on_data=heard.append)
    await sandbox.pty.send_stdin(shell.pid, b"stty size; exit\n")
    await shell.wait()
    assert b"30 100" in b"".join(heard)
