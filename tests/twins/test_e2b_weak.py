"""The E2B twin's weaker tier: the same SDK, the same flows, fewer walls."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b import AsyncSandbox, CommandExitException
from e2b.exceptions import SandboxNotRunningException

from server.errors import StackError
from server.twins.e2b.tier import Tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(LIVE, reason="E2B has no weaker tier")
WEAK = Tier("weak", "chosen by the test", "Choose the other.")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    async with staged(home, tier=WEAK, services={"neon": 4321}) as stage:
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture(scope="module")
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create(envs={"SESSION": "one"})
    yield sandbox
    await sandbox.kill()


async def answer_of(stage: Stage, sandbox: AsyncSandbox, seconds: float = 15) -> httpx.Response:
    end = time.monotonic() + seconds
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            response = await client.get(stage.base, headers={"host": sandbox.get_host(5173)})
            if response.status_code == 200 or time.monotonic() > end:
                return response
            await asyncio.sleep(0.02)


async def test_commands_run_where_the_sdks_paths_lead(sandbox: AsyncSandbox) -> None:
    done = await sandbox.commands.run("pwd; ls; echo $SESSION; cd $APP_DIR && pwd; node -p 1+1", cwd="/app")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("/app")
    assert lines[1:] == ["dev.mjs", "node_modules", "one", lines[0], "2"]


async def test_files_go_to_the_same_places_as_commands(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/.env", "KEY='value'\n")
    await sandbox.commands.run("chmod 600 .env", cwd="/app")
    assert (await sandbox.files.get_info("/app/.env")).mode == 0o600
    assert (await sandbox.commands.run("cat .env", cwd="/app")).stdout == "KEY='value'\n"
    await sandbox.files.write("/root/.claude/skills/a/SKILL.md", "# a\n")
    assert [each.path for each in await sandbox.files.list("/root/.claude/skills")] == ["/root/.claude/skills/a"]
    assert (await sandbox.commands.run("cat ~/.claude/skills/a/SKILL.md")).stdout == "# a\n"
    assert await sandbox.files.read("/opt/mk0r/browser/preview.mjs") == "console.log('preview')\n"


async def test_the_app_answers_on_a_port_of_its_own(stage: Stage, sandbox: AsyncSandbox) -> None:
    other = await stage.create()
    for each in (sandbox, other):
        assert (await answer_of(stage, each)).text.startswith(f"hello {each.get_host(5173)}")
    ports = [(await each.commands.run("echo $PORT")).stdout for each in (sandbox, other)]
    assert ports[0] != ports[1]
    await other.kill()


async def test_pause_stops_what_runs_and_connect_goes_on(stage: Stage) -> None:
    sandbox = await stage.create()
    await answer_of(stage, sandbox)
    await sandbox.pause()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    assert (await answer_of(stage, sandbox, seconds=0)).status_code == 502
    resumed = await AsyncSandbox.connect(sandbox.sandbox_id, **stage.api)
    assert (await answer_of(stage, resumed)).status_code == 200
    await resumed.kill()


async def test_kill_leaves_no_process_even_of_those_that_went_into_the_background(stage: Stage) -> None:
    sandbox = await stage.create()
    await sandbox.commands.run("setsid -f sleep 98765 >/dev/null 2>&1; true")
    await _until_there_are(1)
    await sandbox.kill()
    await _until_there_are(0)


async def _until_there_are(sleepers: int) -> None:
    async with asyncio.timeout(10):
        while len(_sleepers()) != sleepers:  # noqa: ASYNC110 - other processes begin and end
            await asyncio.sleep(0.02)


def _sleepers() -> list[int]:
    import psutil

    return [each.pid for each in psutil.process_iter() if _command(each)[:2] == ["sleep", "98765"]]


def _command(process: Any) -> list[str]:
    import psutil

    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


async def test_a_sandbox_sees_no_other_session_and_no_secret_of_the_host(
    stage: Stage, sandbox: AsyncSandbox, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the host's")
    other = await stage.create()
    await other.files.write("/app/.env", "OTHER='secret'\n")
    place = stage.home.sandboxes / other.sandbox_id / "app" / ".env"
    for target in (secret, place, stage.home.twins / "e2b" / "records.sqlite"):
        with pytest.raises(CommandExitException):
            await sandbox.commands.run(f"cat {target}")
        await sandbox.commands.run(f"ln -sf {target} way-out", cwd="/app")
        with pytest.raises(Exception, match=r"(?i)permission|denied"):
            await sandbox.files.read("/app/way-out")
    await other.kill()


async def test_the_neon_drivers_requests_are_led_to_the_twin(sandbox: AsyncSandbox) -> None:
    done = await sandbox.commands.run(
        """node -e "fetch('https://localhost/sql').catch(e => console.log(e.cause.code, e.cause.port))" """
    )
    assert done.stdout == "ECONNREFUSED 4321\n"


def _finds_no_namespaces(_folder: Path) -> Tier:
    return WEAK


async def test_it_is_never_chosen_without_consent(tmp_path: Path) -> None:
    from server.twins.e2b import setup as twin

    home = e2b_stage.make_home(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twin.tiers, "probe", _finds_no_namespaces)
        with pytest.raises(StackError, match="MK0R_WEAK_SANDBOX=1"):
            await staged(home).__aenter__()
    e2b_stage.unmake_home(home)
