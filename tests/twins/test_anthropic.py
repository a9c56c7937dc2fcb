"""The Anthropic twin, judged by the unmodified `anthropic` SDK and by the API's documented errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import pytest

from server.secrets import Secret
from server.twins.anthropic import build
from server.twins.core import Fault, Site
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "sk-ant-api03-local"
SCRIPT = """
title = "Run tracker"
idea = "A run tracker"
subject = ["run"]

[[step]]
say = "I look and I write."
think = "A schema first."
[[step.call]]
tool = "get_env"
[[step.call]]
tool = "write_files"
files = ["server/schema.ts"]
change = [{ path = "server/schema.ts", from = "numeric", to = "nummeric" }]

[[step]]
say = "I check."
[[step.call]]
tool = "run_in_vm"
arguments = { command = "npm run check" }
expect = "fails"

[[step]]
when = "failed"
say = "It failed, I mend it."
[[step.call]]
tool = "write_files"
files = ["server/schema.ts"]
[[step.call]]
tool = "run_in_vm"
arguments = { command = "npm run db:migrate" }
needs = ["DATABASE_URL"]

[[step]]
lacks = ["DATABASE_URL"]
say = "Done, without a database."

[[step]]
needs = ["DATABASE_URL"]
say = "Done."
"""
SEQUEL = """
title = "Weekly goal"
idea = "Add a weekly goal"
subject = ["goal"]
after = "Run tracker"

[[step]]
say = "A goal it is."
"""
SCHEMA = 'const distance = numeric("distance_km")\n'
TOOLS: list[Any] = [
    {"name": name, "description": "", "input_schema": {"type": "object"}}
    for name in ("get_env", "run_in_vm", "write_files")
]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    example = tmp_path / "examples" / "run-tracker"
    (example / "app" / "server").mkdir(parents=True)
    (example / "app" / "server" / "schema.ts").write_text(SCHEMA)
    (example / "rehearsal").mkdir()
    (example / "rehearsal" / "script.toml").write_text(SCRIPT)
    (example / "rehearsal" / "weekly-goal.toml").write_text(SEQUEL)
    return example.parent


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("anthropic", "http://127.0.0.1:0", tmp_path, Secret(KEY), Secret("admin"))


@pytest.fixture
async def url(site: Site, examples: Path) -> AsyncIterator[str]:
    async with serving(build(site, scripts=examples), bind(), drain=1) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0) as client:
        yield client


class Conversation:
    """Plays a script to its end, giving each call the result a test says."""

    def __init__(self, sdk: anthropic.AsyncAnthropic) -> None:
        self._sdk = sdk
        self.messages: list[Any] = []

    async def say(self, text: str) -> anthropic.types.Message:
        self.messages.append({"role": "user", "content": text})
        return await self._next()

    async def answer(self, *results: dict[str, Any] | str) -> anthropic.types.Message:
        calls = [block for block in self.messages[-1]["content"] if block["type"] == "tool_use"]
        content = [
            {
                "type": "tool_result",
                "tool_use_id": call["id"],
                "content": result if isinstance(result, str) else json.dumps(result),
                "is_error": isinstance(result, str),
            }
            for call, result in zip(calls, results, strict=True)
        ]
        self.messages.append({"role": "user", "content": content})
        return await self._next()

    async def _next(self) -> anthropic.types.Message:
        async with self._sdk.messages.stream(
            model="rehearsal", max_tokens=1000, messages=self.messages, tools=TOOLS, system="Build."
        ) as stream:
            said = await stream.get_final_message()
        content = [block.model_dump(mode="json", exclude_none=True) for block in said.content]
        for block in content:
            block.pop("parsed_output", None)
        self.messages.append({"role": "assistant", "content": content})
        return said


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
    assert "ANTHROPIC_API_KEY" in words(declined)
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


async def test_a_script_that_names_a_missing_passage_fails_by_name(talk: Conversation, examples: Path) -> None:
    (examples / "run-tracker" / "app" / "server" / "schema.ts").write_text("nothing of the kind")
    with pytest.raises(anthropic.InternalServerError, match=r"server/schema\.ts has 0 passages 'numeric'"):
        await talk.say("A run tracker")


async def test_streamed_and_whole_messages_say_the_same(sdk: anthropic.AsyncAnthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": "A run tracker"}]
    whole = await sdk.messages.create(model="rehearsal", max_tokens=10, tools=TOOLS, messages=messages)
    async with sdk.messages.stream(model="rehearsal", max_tokens=10, tools=TOOLS, messages=messages) as stream:
        kinds = [event.type async for event in stream]
        streamed = await stream.get_final_message()
    assert words(streamed) == words(whole)
    assert calls(streamed) == calls(whole)
    assert [block.type for block in streamed.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert streamed.usage.output_tokens == whole.usage.output_tokens > 0
    assert streamed.id.startswith("msg_01")
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")


async def test_the_event_stream_has_the_apis_order_and_a_ping(url: str) -> None:
    body: dict[str, Any] = {"model": "rehearsal", "max_tokens": 10, "stream": True, "tools": TOOLS}
    body["messages"] = [{"role": "user", "content": "A run tracker"}]
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        answer = await client.post("/v1/messages", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["request-id"].startswith("req_01")
    events = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert events[:3] == ["message_start", "content_block_start", "ping"]
    assert events[-2:] == ["message_delta", "message_stop"]
    assert events.count("content_block_start") == events.count("content_block_stop") == 4
    assert answer.text.count("input_json_delta") >= 2
    assert answer.text.count("signature_delta") == 1


HELLO: list[Any] = [{"role": "user", "content": "Hi"}]
ASKED: list[Any] = [
    *HELLO,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_env", "input": {}}]},
]
STRAY: list[Any] = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "x"}]}]
FORGED: list[Any] = [
    *HELLO,
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": "forged"}]},
]


@pytest.mark.parametrize(
    ("change", "status", "kind", "told"),
    [
        ({"model": "claude-sonnet-5-5"}, 404, "not_found_error", "model: claude-sonnet-5-5"),
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens: Input should be"),
        ({"messages": []}, 400, "invalid_request_error", "messages: at least one message"),
        ({"messages": [{"role": "user", "content": ""}]}, 400, "invalid_request_error", "must be non-empty"),
        ({"messages": ["Hi"]}, 400, "invalid_request_error", "messages: Input should be"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, 400, "invalid_request_error", "messages.0.role"),
        ({"messages": ASKED}, 400, "invalid_request_error", "without `tool_result` blocks"),
        ({"messages": [*ASKED, *HELLO]}, 400, "invalid_request_error", "messages.1: `tool_use` ids were found"),
        ({"messages": STRAY}, 400, "invalid_request_error", "unexpected `tool_use_id`"),
        ({"messages": FORGED}, 400, "invalid_request_error", "Invalid `signature`"),
        ({"extra_body": {"thread": {}}}, 400, "invalid_request_error", "thread: Extra inputs are not permitted"),
    ],
)
async def test_a_bad_request_is_refused_as_the_api_does(
    sdk: anthropic.AsyncAnthropic, change: dict[str, Any], status: int, kind: str, told: str
) -> None:
    asked: dict[str, Any] = {"model": "rehearsal", "max_tokens": 10, "messages": HELLO, **change}
    with pytest.raises(anthropic.APIStatusError) as refused:
        await sdk.messages.create(**asked)
    assert (refused.value.status_code, refused.value.type) == (status, kind)
    assert told in str(refused.value.api_message)
    assert str(refused.value.request_id).startswith("req_01")


async def test_only_the_operators_key_opens_it(url: str) -> None:
    for wrong in ("sk-ant-other", "x"):
        async with anthropic.AsyncAnthropic(api_key=wrong, base_url=url, max_retries=0) as client:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await client.models.list()
        assert refused.value.type == "authentication_error"
    async with anthropic.AsyncAnthropic(auth_token=KEY, base_url=url, max_retries=0) as client:
        assert (await client.models.list()).data


async def test_a_request_without_a_version_is_refused(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": KEY}) as client:
        answer = await client.get("/v1/models")
    assert answer.status_code == 400
    assert "anthropic-version" in answer.json()["error"]["message"]


async def test_models_and_token_counts_answer_the_sdk(sdk: anthropic.AsyncAnthropic) -> None:
    assert [model.id async for model in sdk.models.list()] == ["rehearsal"]
    assert (await sdk.models.retrieve("rehearsal")).display_name.startswith("Rehearsal")
    with pytest.raises(anthropic.NotFoundError):
        await sdk.models.retrieve("claude-opus-5-5")
    few = await sdk.messages.count_tokens(model="rehearsal", messages=HELLO)
    more = await sdk.messages.count_tokens(model="rehearsal", messages=[{"role": "user", "content": "Hi " * 300}])
    assert 0 < few.input_tokens < 30
    assert more.input_tokens > 300


async def test_an_unknown_route_is_an_error_of_the_apis_shape(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": KEY}) as client:
        answer = await client.get("/v1/elsewhere")
    assert answer.status_code == 404
    assert answer.json()["error"] == {"type": "not_found_error", "message": "Not Found"}


async def test_the_sdk_rides_out_an_overload(site: Site, url: str) -> None:
    site.faults.add(Fault(path="/v1/messages", status=529, headers={"retry-after-ms": "1"}, times=2))
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=2) as client:
        said = await client.messages.create(model="rehearsal", max_tokens=10, messages=HELLO)
    assert said.stop_reason == "refusal"
