"""The rehearsal: which beat of a script comes next, judged by what the unmodified `anthropic` SDK is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from tests.twins.anthropic_stage import KEY, SCHEMA, TOOLS, Rehearsed, rehearsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Rehearsed]:
    async with rehearsing(tmp_path) as rehearsed:
        yield rehearsed


@pytest.fixture
async def sdk(stage: Rehearsed) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=stage.url, max_retries=0) as client:
        yield client


class Conversation:
    """Plays a script to its end, giving each call the result a test says."""

    def __init__(self, sdk: anthropic.AsyncAnthropic, **more: Any) -> None:
        self._sdk = sdk
        self.more = more
        self.messages: list[Any] = []

    async def say(self, text: str) -> anthropic.types.Message:
        self.messages.append({"role": "user", "content": text})
        return await self.go_on()

    async def answer(self, *came: dict[str, Any] | str) -> anthropic.types.Message:
        self.messages.append({"role": "user", "content": results(self.messages[-1], *came)})
        return await self.go_on()

    async def go_on(self) -> anthropic.types.Message:
        async with self._sdk.messages.stream(
            model="rehearsal", max_tokens=2000, messages=self.messages, tools=TOOLS, system="Build.", **self.more
        ) as stream:
            said = await stream.get_final_message()
        self.messages.append({"role": "assistant", "content": said.content})
        return said


def results(message: Any, *came: dict[str, Any] | str) -> list[Any]:
    """Each call's result; a sentence is that of a failure."""
    asked = [block for block in message["content"] if block.type == "tool_use"]
    return [
        {
            "type": "tool_result",
            "tool_use_id": call.id,
            "content": result if isinstance(result, str) else json.dumps(result),
            "is_error": isinstance(result, str),
        }
        for call, result in zip(asked, came, strict=True)
    ]


@pytest.fixture
def talk(sdk: anthropic.AsyncAnthropic) -> Conversation:
    return Conversation(sdk)


ENV = {"names": [{"name": "DATABASE_URL", "service": "database"}], "missing": []}
NO_ENV = {"names": [], "missing": [{"service": "database", "why": "DATABASE_URL could not be made"}]}
WRITTEN = {"written": ["/app/server/schema.ts"]}
BROKEN = {"exit_code": 2, "stdout": "error TS2552: Cannot find name 'nummeric'.", "stderr": ""}
FINE = {"exit_code": 0, "stdout": "", "stderr": ""}


def words(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def calls(message: anthropic.types.Message) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


async def test_a_script_plays_to_its_end_over_what_really_happened(talk: Conversation) -> None:
    first = await talk.say("I want to track my runs")
    assert first.stop_reason == "tool_use"
    assert words(first).startswith("This is a rehearsal")
    broken = {"path": "/app/server/schema.ts", "content": SCHEMA.replace("numeric", "nummeric")}
    assert calls(first) == [("get_env", {}), ("write_files", {"files": [broken]})]
    assert calls(await talk.answer(ENV, WRITTEN)) == [("run_in_vm", {"command": "npm run check"})]
    mend = await talk.answer(BROKEN)
    assert calls(mend) == [
        ("write_files", {"files": [{"path": "/app/server/schema.ts", "content": SCHEMA}]}),
        ("run_in_vm", {"command": "npm run db:migrate"}),
    ]
    last = await talk.answer(WRITTEN, FINE)
    assert (last.stop_reason, words(last)) == ("end_turn", "Done.")


async def test_without_a_database_it_does_not_migrate_and_says_so(talk: Conversation) -> None:
    await talk.say("A run tracker")
    await talk.answer(NO_ENV, WRITTEN)
    assert [name for name, _ in calls(await talk.answer(BROKEN))] == ["write_files"]
    assert words(await talk.answer(WRITTEN)) == "Done, without a database."


async def test_it_mends_only_what_really_failed(talk: Conversation) -> None:
    await talk.say("A run tracker")
    await talk.answer(ENV, WRITTEN)
    assert words(await talk.answer(FINE)) == "Done."


async def test_what_should_not_have_failed_stops_it_honestly(talk: Conversation) -> None:
    await talk.say("A run tracker")
    stopped = await talk.answer(ENV, "The VM could not be reached.")
    assert stopped.stop_reason == "refusal"
    assert "`write_files` answered: The VM could not be reached." in words(stopped)


async def test_an_idea_without_a_script_is_declined_by_name(talk: Conversation) -> None:
    declined = await talk.say("A chess clock")
    assert declined.stop_reason == "refusal"
    assert "no script for this idea" in words(declined)
    assert "“A run tracker”" in words(declined)
    assert declined.stop_details is not None
    assert "Set ANTHROPIC_API_KEY" in str(declined.stop_details.explanation)
    assert calls(declined) == []


async def test_a_sequel_plays_only_after_what_it_follows(sdk: anthropic.AsyncAnthropic) -> None:
    assert (await Conversation(sdk).say("Add a weekly goal")).stop_reason == "refusal"
    talk = Conversation(sdk)
    await talk.say("A run tracker")
    await talk.answer(ENV, WRITTEN)
    await talk.answer(FINE)
    assert words(await talk.say("Add a weekly goal")).endswith("A goal it is.")


async def test_a_script_plays_once_and_again_only_where_it_was_broken_off(sdk: anthropic.AsyncAnthropic) -> None:
    talk = Conversation(sdk)
    await talk.say("A run tracker")
    await talk.answer(ENV, "The VM could not be reached.")
    assert words(await talk.say("Once more: a run tracker")).endswith("I look and I write.")
    await talk.answer(ENV, WRITTEN)
    await talk.answer(FINE)
    again = await talk.say("A run tracker, please")
    assert again.stop_reason == "refusal"
    assert "It can play: “Add a weekly goal”." in words(again)


async def test_what_the_host_says_is_not_taken_for_an_idea(talk: Conversation) -> None:
    await talk.say("A run tracker\n<session>\na waitlist and a chess clock\n</session>")
    await talk.answer(ENV, WRITTEN)
    await talk.answer(FINE)
    declined = await talk.say("<host>\nThe page has errors.\n</host>")
    assert declined.stop_reason == "refusal"
    assert "the script has no step for" in words(declined)


async def test_a_script_that_names_a_missing_passage_fails_by_name(talk: Conversation, stage: Rehearsed) -> None:
    (stage.examples / "run-tracker" / "app" / "server" / "schema.ts").write_text("nothing of the kind")
    with pytest.raises(anthropic.InternalServerError, match=r"server/schema\.ts has 0 passages 'numeric'"):
        await talk.say("A run tracker")


async def test_a_step_of_several_calls_goes_on_where_only_one_may_be_made_at_a_time(
    sdk: anthropic.AsyncAnthropic,
) -> None:
    talk = Conversation(sdk, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    first = await talk.say("A run tracker")
    assert [name for name, _ in calls(first)] == ["get_env"]
    second = await talk.answer(ENV)
    assert ([name for name, _ in calls(second)], words(second)) == (["write_files"], "")
    assert [name for name, _ in calls(await talk.answer(WRITTEN))] == ["run_in_vm"]


async def test_a_call_forced_outside_the_script_does_not_move_it(sdk: anthropic.AsyncAnthropic) -> None:
    talk = Conversation(sdk, tool_choice={"type": "tool", "name": "run_in_vm"})
    assert calls(await talk.say("A run tracker")) == [("run_in_vm", {})]
    talk.more = {}
    assert [name for name, _ in calls(await talk.answer(FINE))] == ["get_env", "write_files"]


async def test_words_told_without_tools_are_told_again_with_them(sdk: anthropic.AsyncAnthropic) -> None:
    talk = Conversation(sdk, tool_choice={"type": "none"})
    told = await talk.say("A run tracker")
    assert (told.stop_reason, calls(told)) == ("end_turn", [])
    talk.more = {}
    talk.messages.append({"role": "user", "content": "<host>\nGo on.\n</host>"})
    assert [name for name, _ in calls(await talk.go_on())] == ["get_env", "write_files"]


async def test_the_host_may_speak_as_the_system_in_the_middle(talk: Conversation) -> None:
    await talk.say("A run tracker")
    talk.messages.append({"role": "user", "content": results(talk.messages[-1], ENV, WRITTEN)})
    talk.messages.append({"role": "system", "content": "A waitlist and a chess clock."})
    assert [name for name, _ in calls(await talk.go_on())] == ["run_in_vm"]


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [
        ({"type": "adaptive"}, ["A schema first."]),
        ({"type": "enabled", "budget_tokens": 1024, "display": "summarized"}, ["A schema first."]),
        ({"type": "adaptive", "display": "omitted"}, [""]),
        ({"type": "between_tools"}, []),
        ({"type": "disabled"}, []),
    ],
)
async def test_thinking_is_shown_hidden_or_left_out_and_may_be_sent_back(
    sdk: anthropic.AsyncAnthropic, thinking: dict[str, Any], shown: list[str]
) -> None:
    talk = Conversation(sdk, thinking=thinking)
    first = await talk.say("A run tracker")
    thoughts = [block for block in first.content if block.type == "thinking"]
    assert [block.thinking for block in thoughts] == shown
    assert all(block.signature for block in thoughts)
    details = first.usage.output_tokens_details
    assert details is not None
    assert (details.thinking_tokens > 0) == bool(shown)
    assert [name for name, _ in calls(await talk.answer(ENV, WRITTEN))] == ["run_in_vm"]
