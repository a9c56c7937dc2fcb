"""The E2B twin, driven by the unmodified E2B SDK. Most of it also describes E2B itself (see `tests/e2b_stage.py`)."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b import (
    AsyncSandbox,
    AuthenticationException,
    CommandExitException,
    FileNotFoundException,
    InvalidArgumentException,
    PtySize,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)
from e2b.exceptions import SandboxException, SandboxNotRunningException

from server.twins.core import Fault
from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
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


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 15) -> Any:
    """The first truthy answer within the time."""
    end = time.monotonic() + seconds
    while not (answer := await check()):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)
    return answer


async def answers(url: str, **headers: str) -> httpx.Response | None:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            response = await client.get(url, headers=headers)
        except httpx.TransportError:
            return None
    return response if response.status_code == 200 else None


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


async def test_files_are_written_read_and_made_with_their_folders(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/root/.claude/skills/a/SKILL.md", "# a skill\n")
    await sandbox.files.write_files([{"path": "/app/one.txt", "data": "1"}, {"path": "two/2.txt", "data": b"\x00\xff"}])
    assert await sandbox.files.read("/root/.claude/skills/a/SKILL.md") == "# a skill\n"
    assert bytes(await sandbox.files.read("/app/two/2.txt", format="bytes")) == b"\x00\xff"
    assert (await sandbox.commands.run("cat /app/one.txt")).stdout == "1"


async def test_a_shorter_file_leaves_nothing_of_a_longer_one(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/length.txt", "a long text")
    await sandbox.files.write("/app/length.txt", "short")
    assert await sandbox.files.read("/app/length.txt") == "short"


async def test_a_big_file_goes_in_and_comes_out(sandbox: AsyncSandbox) -> None:
    data = os.urandom(5_000_000)
    await sandbox.files.write("/app/big.bin", data)
    assert bytes(await sandbox.files.read("/app/big.bin", format="bytes")) == data


async def test_a_missing_file_is_not_found(sandbox: AsyncSandbox) -> None:
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read("/app/none")
    assert not await sandbox.files.exists("/app/none")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.read("/app")


async def test_folders_are_listed_made_moved_and_removed(sandbox: AsyncSandbox) -> None:
    assert await sandbox.files.make_dir("/app/tree/deep")
    assert not await sandbox.files.make_dir("/app/tree/deep")
    await sandbox.files.write("/app/tree/deep/leaf", "x")
    assert [each.path for each in await sandbox.files.list("/app/tree", depth=2)] == [
        "/app/tree/deep",
        "/app/tree/deep/leaf",
    ]
    await sandbox.files.rename("/app/tree/deep/leaf", "/app/tree/blade")
    assert (await sandbox.files.get_info("/app/tree/blade")).size == 1
    await sandbox.files.remove("/app/tree")
    assert not await sandbox.files.exists("/app/tree")


async def test_the_env_file_can_be_written_for_its_owner_only(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/.env.new", "KEY='value'\n")
    await sandbox.commands.run("chmod 600 /app/.env.new && mv /app/.env.new /app/.env")
    info = await sandbox.files.get_info("/app/.env")
    assert info.mode == 0o600
    assert info.owner == "root"
    assert await sandbox.files.read("/app/.env") == "KEY='value'\n"


async def test_node_modules_are_there_and_can_be_changed_for_one_sandbox_only(stage: Stage) -> None:
    one, two = await asyncio.gather(stage.create(), stage.create())
    await one.commands.run("echo changed > node_modules/little/index.js && mkdir node_modules/more")
    other = await two.commands.run("cat node_modules/little/index.js; ls node_modules")
    assert other.stdout == "module.exports = 'little'\nlittle\n"
    if not LIVE:
        kept = stage.home.template / "app" / "node_modules" / "little" / "index.js"
        assert kept.read_text() == "module.exports = 'little'\n"
    await asyncio.gather(one.kill(), two.kill())


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


# Previews


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
