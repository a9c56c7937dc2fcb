"""A turn of the loop: what the model is sent, and what becomes of the words and calls it answers with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_loop.steps import DONE, ONE_COMMAND, answers

if TYPE_CHECKING:
    from agent_loop.model import AnthropicModel, Message
    from tests.agent_loop.conftest import Stage
else:
    Stage = Any

KEY = "mk0rk_AAAAAAAAAAAAAAAAAAAAAA"


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


async def test_a_call_is_told_as_a_sentence_and_a_failure_by_the_line_that_says_it(stage: Stage) -> None:
    stage.script(
        ONE_COMMAND.replace("echo $((6*7))", "echo loading; echo 'src/a.ts(1,2): error TS1: No.'; exit 2") + DONE
    )
    await stage.run()
    assert stage.told("tool.started")[0]["title"].startswith("Runs echo loading")
    assert stage.told("tool.finished")[0]["trouble"] == "src/a.ts(1,2): error TS1: No."
