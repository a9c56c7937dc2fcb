"""The local stack comes up, stays, is found again, and survives every way of dying."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from server.errors import StackError
from server.local import facts as remembered
from server.local import processes, stack
from server.local.home import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from subprocess import Popen

    from server.local.facts import StackFacts
    from server.local.progress import StackStep

LIGHT = {"resend", "github"}  # twins that stand on nothing else
ENVIRON = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    made = Home(tmp_path / "home")
    yield made
    await stack.down(made)
    shutil.rmtree(made.stack, ignore_errors=True)


async def up(home: Home, which: set[str] = LIGHT, **environ: str) -> StackFacts:
    return await stack.up(home, lambda _: None, which=which, environ={**ENVIRON, **environ})


async def answers(facts: StackFacts) -> bool:
    return await processes.healthy(facts)


async def test_every_twin_answers_under_its_own_name_once_the_stack_is_up(home: Home) -> None:
    steps: list[StackStep] = []
    facts = await stack.up(home, steps.append, which=LIGHT, environ=ENVIRON)
    assert await answers(facts)
    assert [(step.name, step.state) for step in steps if step.name == "twins"] == [
        ("twins", "running"),
        ("twins", "done"),
    ]
    assert all(step.ms is not None for step in steps if step.state == "done")


async def test_a_second_start_finds_what_runs_and_changes_nothing(home: Home) -> None:
    first = await up(home)
    assert await up(home) == first


async def test_asking_for_more_twins_keeps_the_ports_and_credentials_of_those_there(home: Home) -> None:
    first = await up(home, {"resend"})
    more = await up(home, {"resend", "github"})
    assert more.twins["resend"] == first.twins["resend"]
    assert await answers(more)


async def test_a_killed_twins_process_is_seen_and_comes_back_at_the_same_ports(home: Home) -> None:
    first = await up(home)
    psutil.Process(first.pids["twins"]).send_signal(signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pids["twins"])], timeout=5)
    assert not stack.alive(home, first)
    again = await up(home)
    assert again.twins == first.twins
    assert stack.alive(home, again)
    assert await answers(again)


async def test_a_stray_process_whose_number_was_never_written_down_is_replaced(home: Home) -> None:
    first = await up(home)
    remembered.save(home.stack_file, first.with_pid("twins", None))
    again = await up(home)
    assert [process.pid for process in processes.twins_processes(home)] == [again.pids["twins"]]


async def test_a_number_that_now_is_another_program_is_not_taken_for_ours(home: Home) -> None:
    first = await up(home)
    await stack.down(home)
    remembered.save(home.stack_file, first.with_pid("twins", os.getpid()))
    again = await up(home)
    assert again.pids["twins"] != os.getpid()
    assert psutil.pid_exists(os.getpid())


async def test_a_twin_whose_port_was_taken_meanwhile_moves_to_a_free_one(home: Home) -> None:
    first = await up(home)
    await stack.down(home)
    with socket.create_server(("127.0.0.1", first.twins["resend"].port)):
        again = await up(home)
        assert again.twins["resend"].port != first.twins["resend"].port
        assert again.twins["resend"].credential == first.twins["resend"].credential
        assert again.twins["github"].port == first.twins["github"].port
        assert await answers(again)


async def test_a_port_that_is_taken_between_our_look_and_our_listening_is_moved_too(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    thieves: list[socket.socket] = []
    spawn = processes.spawn_twins

    def too_late(home: Home, environ: Mapping[str, str]) -> Popen[bytes]:
        if not thieves and (facts := remembered.load(home.stack_file)):
            thieves.append(socket.create_server(("127.0.0.1", facts.twins["resend"].port)))
        return spawn(home, environ)

    monkeypatch.setattr(processes, "spawn_twins", too_late)
    facts = await up(home)
    assert facts.twins["resend"].port != thieves[0].getsockname()[1]
    assert await answers(facts)
    thieves[0].close()


async def test_the_databases_port_does_not_move_and_a_sentence_says_who_has_it(home: Home) -> None:
    first = await up(home, {"neon"})
    await stack.down(home)
    with (
        socket.create_server(("127.0.0.1", first.postgres_port)),
        pytest.raises(StackError, match=f"Port {first.postgres_port} .* taken by another program") as refused,
    ):
        await up(home, {"neon"})
    assert refused.value.code == "port_taken"
    assert "ss -ltnp" in refused.value.next_action
    assert (await up(home, {"neon"})).postgres_port == first.postgres_port


async def test_a_part_that_cannot_start_is_the_error_itself_and_names_its_step(home: Home) -> None:
    first = await up(home, {"neon"})
    await stack.down(home)
    steps: list[StackStep] = []
    with socket.create_server(("127.0.0.1", first.postgres_port)):
        try:
            await stack.up(home, steps.append, which={"neon"}, environ=ENVIRON)
        except StackError as error:
            assert error.code == "port_taken"  # noqa: PT017 - `raises` would look into a group too
        else:
            pytest.fail("it started on a taken port")
    assert [(step.name, step.state) for step in steps][-1] == ("PostgreSQL", "failed")


async def test_going_down_twice_is_fine_and_says_what_was_stopped(home: Home) -> None:
    assert await stack.down(home) == []
    facts = await up(home, {"neon"})
    assert await stack.down(home) == ["twins", "postgres"]
    assert await stack.down(home) == []
    assert remembered.port_is_free(facts.postgres_port)


async def test_the_stack_file_is_private_and_its_credentials_have_the_vendors_shapes(home: Home) -> None:
    facts = await up(home)
    assert home.stack_file.stat().st_mode & 0o777 == 0o600
    shapes = {name: remembered.mint_credential(name).reveal() for name in remembered.VENDORS}
    prefixes = {"neon": "napi_", "resend": "re_", "posthog": "phc_", "github": "ghp_", "e2b": "e2b_"}
    assert all(shapes[name].startswith(prefix) for name, prefix in prefixes.items())
    assert shapes["anthropic"].startswith("sk-ant-local-")
    assert remembered.load(home.stack_file) == facts


async def test_a_stack_file_that_cannot_be_read_is_named_and_nothing_is_started(home: Home) -> None:
    home.make()
    home.stack_file.write_text("{ not json")
    with pytest.raises(StackError, match="cannot be read"):
        await up(home)
    with pytest.raises(StackError, match="cannot be read"):
        await stack.down(home)
    assert processes.twins_processes(home) == []
    home.stack_file.unlink()


async def test_the_operators_live_keys_do_not_reach_the_twins(home: Home) -> None:
    facts = await up(home, ANTHROPIC_API_KEY="sk-ant-live", SOME_TOKEN="secret", LANG="C.UTF-8")
    environ = psutil.Process(facts.pids["twins"]).environ()
    assert environ["LANG"] == "C.UTF-8"
    assert {"ANTHROPIC_API_KEY", "SOME_TOKEN"} & environ.keys() == set()


async def test_settings_from_the_stack_reach_the_twins(home: Home) -> None:
    facts = await up(home)
    values = stack.settings_from(facts)
    async with httpx.AsyncClient(timeout=5) as http:
        key = {"Authorization": f"Bearer {values['resend_api_key'].reveal()}"}
        assert (await http.get(f"{values['resend_base_url']}/segments", headers=key)).status_code == 200
    assert values.keys() == {
        *("resend_api_key", "resend_base_url", "resend_from"),
        *("github_token", "github_owner", "github_api_url", "github_git_url"),
    }


async def test_weaker_isolation_once_agreed_to_is_remembered(home: Home) -> None:
    await up(home, MK0R_WEAK_SANDBOX="1")
    assert (await up(home)).weak_sandbox
    assert json.loads(home.stack_file.read_text())["weak_sandbox"] is True


async def test_without_namespaces_nothing_is_started_until_weaker_isolation_is_agreed_to(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.twins.e2b import tier

    weak = tier.Tier("weak", "refused by this test", "Allow them.")

    def probe(_folder: Path | None = None) -> tier.Tier:
        return weak

    monkeypatch.setattr(tier, "probe", probe)
    with pytest.raises(StackError, match="no user namespaces \\(refused by this test\\)") as refused:
        await up(home, {"neon", "e2b"})
    assert refused.value.code == "no_namespaces"
    assert "Allow them. Or set MK0R_WEAK_SANDBOX=1" in refused.value.next_action
    assert processes.twins_processes(home) == []
    agreed = remembered.load(home.stack_file)
    assert agreed is not None
    assert await stack._isolation(home, replace(agreed, weak_sandbox=True)) == {"MK0R_WEAK_SANDBOX": "1"}  # pyright: ignore[reportPrivateUsage] - what the twins are told
