"""The loop, driven through the real SDK, a real MCP client and real commands."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

from agent_loop import limits as limits_module
from agent_loop import loop
from agent_loop.journal import MemoryJournal
from agent_loop.limits import Limits, Price
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from agent_loop.model import AnthropicModel, Message
    from tests.agent_loop.conftest import Stage
else:
    Stage = Any

KEY = "mk0rk_AAAAAAAAAAAAAAAAAAAAAA"

DONE = """
[[step]]
say = "All done."
"""

ONE_COMMAND = """
[[step]]
say = "I look around."
[[step.call]]
tool = "run_in_vm"
arguments = { command = "echo $((6*7))" }
expect = "either"
"""


def answers(stage: Stage, request: int = -1) -> list[dict[str, Any]]:
    """The tool results of one recorded request."""
    return [block for block in stage.requests[request]["messages"][-1]["content"] if block["type"] == "tool_result"]


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


async def test_calls_of_one_turn_run_at_the_same_time(stage: Stage) -> None:
    # Each end of a pipe waits for the other to be opened: one after the other would wait for ever.
    await stage.shop.run("mkfifo pipe", 10)
    stage.script(
        """
[[step]]
say = "Together."
[[step.call]]
tool = "run_in_vm"
arguments = { command = "cat < pipe", timeout_seconds = 20 }
[[step.call]]
tool = "run_in_vm"
arguments = { command = "echo through > pipe; echo sent", timeout_seconds = 20 }
"""
        + DONE
    )
    result = await stage.run()
    assert result.outcome == "done"
    first, second = answers(stage)
    assert "through" in first["content"][0]["text"]
    assert "sent" in second["content"][0]["text"]
    calls = [block["id"] for block in result.messages[1]["content"] if block["type"] == "tool_use"]
    assert [first["tool_use_id"], second["tool_use_id"]] == calls


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


@pytest.mark.parametrize(
    ("limits", "reason", "pushes"),
    [
        (Limits(turns=1), "The run used its 1 turns.", 1),
        (Limits(tokens=50), "The run used its 50 tokens.", 1),
        (Limits(dollars=0.000001), "The run used its budget of $0.00.", 0),
    ],
)
async def test_a_budget_stops_the_run_before_the_next_turn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, limits: Limits, reason: str, pushes: int
) -> None:
    monkeypatch.setitem(limits_module.PRICES, "rehearsal", (Price(1, 1, 1, 1),))
    stage.script(ONE_COMMAND * 3 + DONE)
    result = await stage.run(limits=limits)
    assert (result.outcome, result.reason, result.turns) == ("stopped", reason, 1)
    assert len(stage.requests) == 1
    assert stage.told("run.finished")[0]["outcome"] == "stopped"
    assert len(stage.shop.pushes) == pushes, "where the words were cut short no tool was called"


async def test_seconds_bound_a_model_that_never_answers(stage: Stage) -> None:
    stage.script(DONE)
    stage.fault(hang=True)
    result = await stage.run(limits=Limits(seconds=0.2))
    assert (result.outcome, result.reason) == ("stopped", "The run used its 0.2 seconds.")


async def test_cancelling_passes_through_and_the_journal_goes_on_where_it_stopped(stage: Stage) -> None:
    stage.script(ONE_COMMAND + ONE_COMMAND.replace("echo $((6*7))", "echo > begun; cat < pipe") + DONE)
    await stage.shop.run("mkfifo pipe begun", 10)
    journal = MemoryJournal()
    running = asyncio.create_task(stage.run(journal=journal))
    await stage.shop.run("cat < begun", 30)  # the second command has started
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stage.shop.pushes == []
    asked, called = len(stage.requests), len(stage.shop.log)

    await stage.shop.run("rm pipe begun; echo now > pipe", 10)
    result = await stage.run(journal=journal.again())
    assert result.outcome == "done"
    assert len(stage.requests) == asked + 1  # only the turn that was missing
    assert stage.shop.log[called : called + 2] == ["run_in_vm echo > begun; cat < pipe", "model"]
    assert [turn["turn"] for turn in stage.told("turn.started")] == [1, 2, 3]


async def test_a_replayed_journal_calls_nothing_and_tells_nothing_again(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    journal = MemoryJournal()
    first = await stage.run(journal=journal)
    asked, called, told = len(stage.requests), len(stage.shop.log), len(stage.events)
    again = await stage.run(journal=journal.again())
    assert again == first
    assert (len(stage.requests), len(stage.shop.log), len(stage.events)) == (asked, called, told)


async def test_the_session_key_never_reaches_the_model_or_the_events(stage: Stage) -> None:
    stage.script(
        """
[[step]]
say = "I ask for the environment."
[[step.call]]
tool = "get_env"
[[step.call]]
tool = "run_in_vm"
arguments = { command = "printf mk0rk_; printf A%.0s $(seq 22)" }
"""
        + DONE
    )
    result = await stage.run()
    assert result.outcome == "done"
    assert KEY not in json.dumps([stage.requests, stage.events, result.messages])
    tools = stage.requests[0]["tools"]
    assert [tool["name"] for tool in tools] == sorted(tool["name"] for tool in tools)
    assert {"provision_session", "get_session", "destroy_session"}.isdisjoint(tool["name"] for tool in tools)
    assert "session_key" not in json.dumps(tools)


async def test_the_prefix_is_the_same_bytes_in_every_run(stage: Stage) -> None:
    stage.script(DONE)
    await stage.run()
    await stage.run("A tracker for my runs")
    first, second = ({name: request[name] for name in ("system", "tools")} for request in stage.requests)
    assert json.dumps(first) == json.dumps(second)
    assert stage.requests[0]["cache_control"] == {"type": "ephemeral"}
    assert stage.requests[0]["system"][-1]["cache_control"] == {"type": "ephemeral"}


async def test_thinking_goes_back_whole_with_its_signature(stage: Stage) -> None:
    stage.script(ONE_COMMAND.replace('say = "I look', 'think = "Where am I?"\nsay = "I look') + DONE)
    result = await stage.run()
    assert result.outcome == "done"  # the twin refuses a block it did not sign
    thought = stage.requests[1]["messages"][1]["content"][0]
    assert thought["thinking"] == "Where am I?"
    assert thought["signature"]
    assert "".join(data["text"] for data in stage.told("thinking")) == "Where am I?"


async def test_a_call_cut_off_at_the_output_limit_is_not_run(stage: Stage) -> None:
    cut = ONE_COMMAND.replace("echo $((6*7))", "touch ran").replace("[[step]]", '[[step]]\nstop = "max_tokens"')
    stage.script(cut + DONE)
    result = await stage.run()
    assert result.outcome == "done"
    assert not (stage.shop.folder / "ran").exists()
    assert answers(stage)[0]["is_error"] is True
    assert "cut off" in answers(stage)[0]["content"][0]["text"]


async def test_an_answer_cut_off_in_its_words_and_a_paused_one_go_on(stage: Stage) -> None:
    stage.script(
        """
[[step]]
say = "A long"
stop = "max_tokens"
[[step]]
say = "story"
stop = "pause_turn"
"""
        + DONE
    )
    result = await stage.run()
    assert (result.outcome, result.turns) == ("done", 3)
    assert [message["role"] for message in result.messages] == ["user", "assistant", "user", "assistant", "assistant"]


@pytest.mark.parametrize("command", ["protocol error", "crash"])
async def test_what_a_tool_raises_reaches_the_model_as_a_plain_sentence(stage: Stage, command: str) -> None:
    stage.script(ONE_COMMAND.replace("echo $((6*7))", command) + DONE)
    result = await stage.run()
    assert result.outcome == "done"
    assert answers(stage)[0]["is_error"] is True
    assert "LEAK" not in json.dumps(stage.requests)
    assert "hunter2" not in json.dumps(stage.requests)
    assert stage.told("tool.finished")[0]["ok"] is False


class Inventive:
    """The twin, told of a tool that the host did not offer."""

    def __init__(self, model: AnthropicModel) -> None:
        self._model = model
        self.id = model.id

    async def next_message(self, *, tools: list[dict[str, Any]], **rest: Any) -> Message:
        invented = {"name": "destroy_session", "description": "", "input_schema": {"type": "object"}}
        return await self._model.next_message(tools=[*tools, invented], **rest)


async def test_a_tool_that_was_not_offered_is_refused_by_the_host(stage: Stage) -> None:
    stage.script('[[step]]\nsay = "Away with it."\ncall = [{ tool = "destroy_session", expect = "fails" }]\n' + DONE)
    result = await stage.run(model=Inventive(stage.model()))
    assert result.outcome == "done"
    assert answers(stage)[0]["content"][0]["text"].startswith("There is no tool called destroy_session. The tools are")
    assert "destroy_session" not in stage.shop.log


async def test_an_idea_without_a_script_changes_nothing_and_says_so(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    result = await stage.run("A recipe box for my grandmother's soups")
    assert result.outcome == "failed"
    assert "This is a rehearsal" in stage.spoken()
    assert "“A run tracker”" in stage.spoken()
    assert "ANTHROPIC_API_KEY" in result.reason
    assert stage.told("tool.started") == []


async def test_a_second_run_goes_on_from_the_first_and_closes_what_it_left_open(stage: Stage) -> None:
    stage.script(ONE_COMMAND.replace('say = "I look', 'think = "Hm."\nsay = "I look') + DONE)
    first = await stage.run(limits=Limits(turns=1))
    assert first.outcome == "stopped"
    interrupted = first.messages[:-1]  # as if it had been killed during the call
    second = await stage.run(history=interrupted)
    assert second.outcome == "done"
    sent = stage.requests[1]["messages"]
    assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use"]
    assert "ended before" in sent[2]["content"][0]["content"][0]["text"]


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


async def test_a_call_is_told_as_a_sentence_and_a_failure_by_the_line_that_says_it(stage: Stage) -> None:
    stage.script(
        ONE_COMMAND.replace("echo $((6*7))", "echo loading; echo 'src/a.ts(1,2): error TS1: No.'; exit 2") + DONE
    )
    await stage.run()
    assert stage.told("tool.started")[0]["title"].startswith("Runs echo loading")
    assert stage.told("tool.finished")[0]["trouble"] == "src/a.ts(1,2): error TS1: No."
