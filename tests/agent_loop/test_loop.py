"""A run of the loop from its session to its push, through the real SDK, a real MCP client and real commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

from agent_loop import loop
from agent_loop.limits import Limits
from server.twins.core.serve import bind, serving
from tests.agent_loop.steps import DONE, ONE_COMMAND, answers

if TYPE_CHECKING:
    from tests.agent_loop.conftest import Stage
else:
    Stage = Any


async def test_provisioning_and_the_skill_come_before_the_first_model_turn(stage: Stage) -> None:
    stage.script(DONE)
    await stage.run()
    assert stage.shop.log[:3] == ["provision_session", "skill", "model"]
    assert "Use neon(process.env.DATABASE_URL)." in json.dumps(stage.requests[0]["system"])


async def test_the_host_waits_for_a_session_that_is_still_being_provisioned(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.001)
    stage.script(DONE)
    stage.shop.rounds_pending = 3
    result = await stage.run()
    assert stage.shop.log[:6] == ["provision_session", *["get_session"] * 3, "skill", "model"]
    assert result.outcome == "done"


async def test_a_run_ends_in_checks_a_push_and_done(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    result = await stage.run("A run tracker\nwith a chart")
    assert (result.outcome, result.reason, result.turns) == ("done", "", 2)
    assert stage.kinds() == [
        "run.started",
        *("turn.started", "tool.started", "tool.finished", "turn.started"),
        *["check"] * 3,
        *("commit", "run.finished"),
    ]
    assert sorted((check["name"], check["ok"]) for check in stage.told("check")) == [
        ("page", True),
        ("server", True),
        ("types", True),
    ]
    assert stage.shop.pushes == ["A run tracker"]
    assert stage.told("commit")[0]["pushed"] is True
    assert "42" in answers(stage)[0]["content"][0]["text"]
    assert "All done." in stage.spoken()
    assert stage.told("run.finished")[0]["tokens"]["output"] > 0


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_server_may_be_another_process_of_either_era(stage: Stage, mode: Any) -> None:
    stage.script(ONE_COMMAND + DONE)
    app = stage.server.streamable_http_app(stateless_http=True)
    async with (
        serving(app, bind(), drain=1) as port,
        Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as stage.client,
    ):
        result = await stage.run()
    assert result.outcome == "done"
    assert "42" in answers(stage)[0]["content"][0]["text"]


async def test_a_session_that_cannot_be_provisioned_ends_the_run_in_the_servers_sentence(stage: Stage) -> None:
    stage.shop.key = "mk0rk_another"
    result = await stage.run()
    assert result.outcome == "failed"
    assert result.reason == "The session could not be provisioned. No session has this key."
    assert stage.requests == []


async def test_failed_checks_go_back_to_the_model_until_they_pass(stage: Stage) -> None:
    (stage.shop.folder / "broken").touch()
    stage.script(
        """
[[step]]
say = "I think I am done."
[[step]]
say = "I was not."
[[step.call]]
tool = "run_in_vm"
arguments = { command = "rm broken" }
"""
        + DONE
    )
    result = await stage.run()
    assert result.outcome == "done"
    heard = stage.requests[1]["messages"][-1]["content"][0]["text"]
    assert "error TS2304" in heard
    assert "server" not in heard
    assert [check["ok"] for check in stage.told("check") if check["name"] == "types"] == [False, True]


async def test_checks_that_keep_failing_end_the_run_as_failed_and_still_push(stage: Stage) -> None:
    (stage.shop.folder / "console.txt").write_text("ReferenceError: x is not defined")
    stage.script(ONE_COMMAND + DONE * 5)
    result = await stage.run(limits=Limits(check_rounds=1))
    assert (result.outcome, result.reason) == ("failed", "The app does not pass its checks (page).")
    assert result.turns == 3
    assert "ReferenceError" in stage.told("check")[-1]["detail"] + stage.told("check")[-2]["detail"] + str(
        stage.requests[2]["messages"][-1]
    )
    assert len(stage.shop.pushes) == 1


async def test_an_idea_without_a_script_changes_nothing_and_says_so(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    result = await stage.run("A recipe box for my grandmother's soups")
    assert result.outcome == "failed"
    assert "This is a rehearsal" in stage.spoken()
    assert "“A run tracker”" in stage.spoken()
    assert "ANTHROPIC_API_KEY" in result.reason
    assert stage.told("tool.started") == []


async def test_without_a_vm_nothing_is_asked_of_the_model(stage: Stage) -> None:
    stage.shop.vm_outcome = "failed"
    result = await stage.run()
    assert (result.outcome, result.reason) == ("failed", "There is no VM to build in. E2B is full. Try later.")
    assert stage.requests == []
    assert stage.kinds() == ["run.started", "run.finished"]


async def test_a_refused_push_is_told_and_fails_nothing(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    stage.shop.push_refused = True
    result = await stage.run()
    assert result.outcome == "done"
    assert stage.told("commit")[0] | {"ms": 0} == {
        "sha": None,
        "message": "A run tracker",
        "pushed": False,
        "ms": 0,
        "error": "This session has no repository.",
    }


async def test_a_declined_idea_says_why_and_leaves_nothing_behind(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    result = await stage.run("A chess clock")
    assert (result.outcome, result.turns) == ("failed", 1)
    assert result.reason == "No script for this idea: this is a rehearsal. Set ANTHROPIC_API_KEY for any idea."
    assert stage.told("run.finished")[0]["code"] == "declined"
    assert stage.kinds() == ["run.started", "turn.started", "run.finished"]
    assert stage.shop.pushes == []
