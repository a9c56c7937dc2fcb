"""The Messages API through the unmodified `anthropic` SDK: messages, streams, tools, images, thinking, models."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any
from zlib import compress, crc32

import anthropic as vendor
import pytest
from anthropic.types import Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from jsonschema import Draft202012Validator, validate
from pydantic import BaseModel, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.contract.conftest import Service

HERE = Path(__file__).parent
IDEA = "A run tracker that actually saves my runs"
HELLO: list[Any] = [{"role": "user", "content": "Say hello in three words."}]
TOOLS: list[Any] = [
    {
        "name": name,
        "description": "Part of a workshop.",
        "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    }
    for name in ("get_env", "read_file", "run_in_vm", "write_files", "preview_app")
]


@pytest.fixture
async def sdk(anthropic: Service) -> AsyncIterator[vendor.AsyncAnthropic]:
    async with vendor.AsyncAnthropic(api_key=anthropic.key, base_url=anthropic.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def model(anthropic: Service) -> str:
    return "claude-haiku-5-5" if anthropic.live else "rehearsal"


@pytest.fixture
def asked(anthropic: Service, model: str) -> dict[str, Any]:
    """What the twin has a script for."""
    if anthropic.live:
        pytest.skip("what a script says is known beforehand, what a model says is not")
    return {"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": IDEA}], "tools": TOOLS}


def png(width: int, height: int) -> str:
    """A black picture, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data))

    rows = compress((b"\0" + b"\0" * width) * height)
    head = chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b64encode(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")).decode()


def picture(data: str, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


async def create(sdk: vendor.AsyncAnthropic, **asked: Any) -> Message:
    """A whole message; the overloads that would stream are no concern of these tests."""
    messages: Any = sdk.messages
    return await messages.create(**asked)


def but(asked: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {**asked, **other}


def words(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def calls(message: Any) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


# Whole messages


async def test_every_answer_is_whole_by_the_sdks_own_models(sdk: vendor.AsyncAnthropic, model: str) -> None:
    raw = await sdk.messages.with_raw_response.create(model=model, max_tokens=32, messages=HELLO)
    Message.model_validate(raw.http_response.json())
    assert raw.headers["request-id"].startswith("req_")
    assert (await raw.parse()).id.startswith("msg_")
    counted = await sdk.messages.with_raw_response.count_tokens(model=model, messages=HELLO)
    MessageTokensCount.model_validate(counted.http_response.json())
    listed = await sdk.models.with_raw_response.list(limit=1)
    page = listed.http_response.json()
    assert {"data", "has_more", "first_id", "last_id"} <= {*page}
    for card in page["data"]:
        ModelInfo.model_validate(card)


async def test_the_sync_client_is_answered_the_same(anthropic: Service, model: str) -> None:
    def ask() -> vendor.types.Message:
        with vendor.Anthropic(auth_token=anthropic.key, api_key=None, base_url=anthropic.base_url) as client:
            with client.messages.stream(model=model, max_tokens=64, messages=HELLO) as stream:
                heard = "".join(stream.text_stream)
                said = stream.get_final_message()
            assert heard == words(said)
            return client.messages.create(model=model, max_tokens=64, messages=HELLO)

    assert words(await asyncio.to_thread(ask))


async def test_a_message_may_be_sent_back_as_it_came(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    said: Any = None
    for stream in (False, True):
        messages = [*asked["messages"]]
        for _ in range(2):
            if stream:
                async with sdk.messages.stream(**but(asked, messages=messages)) as told:
                    said = await told.get_final_message()
            else:
                said = await create(sdk, **but(asked, messages=messages))
            answers: Any = [
                {"type": "tool_result", "tool_use_id": block.id, "content": "{}"}
                for block in said.content
                if block.type == "tool_use"
            ]
            messages += [said.to_param(), {"role": "user", "content": answers}]
        assert calls(said)


async def test_system_metadata_and_tier_are_taken_in_each_of_their_forms(
    sdk: vendor.AsyncAnthropic, model: str
) -> None:
    forms: list[Any] = ["Be brief.", [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]]
    for system in forms:
        said = await sdk.messages.create(
            model=model,
            max_tokens=32,
            messages=HELLO,
            system=system,
            metadata={"user_id": "13803d75-b4b5-4c3e-b2a2-6f21399b021b"},
            service_tier="standard_only",
        )
        assert said.usage.service_tier == "standard"


async def test_neighbours_of_one_role_are_one_turn(sdk: vendor.AsyncAnthropic, model: str) -> None:
    messages: list[Any] = [*HELLO, {"role": "user", "content": [{"type": "text", "text": "Please."}]}]
    assert (await sdk.messages.create(model=model, max_tokens=32, messages=messages)).role == "assistant"


async def test_max_tokens_cuts_words_and_says_so(sdk: vendor.AsyncAnthropic, model: str) -> None:
    said = await sdk.messages.create(model=model, max_tokens=2, messages=HELLO, thinking={"type": "disabled"})
    assert said.stop_reason == "max_tokens"
    assert 1 <= said.usage.output_tokens <= 2
    async with sdk.messages.stream(model=model, max_tokens=2, messages=HELLO, thinking={"type": "disabled"}) as stream:
        assert (await stream.get_final_message()).stop_reason == "max_tokens"


async def test_max_tokens_cuts_a_tools_input_in_the_middle(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    """The second step writes every file of the app, which is long."""
    first = await create(sdk, **asked)
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "{}"}
        for block in first.content
        if block.type == "tool_use"
    ]
    messages = [*asked["messages"], first.to_param(), {"role": "user", "content": results}]
    more = but(asked, messages=messages, max_tokens=300)
    whole = await create(sdk, **more)
    assert (whole.stop_reason, whole.usage.output_tokens) == ("max_tokens", 300)
    async with sdk.messages.stream(**more) as stream:
        pieces = "".join([event.partial_json async for event in stream if event.type == "input_json"])
        streamed = await stream.get_final_message()
    with pytest.raises(json.JSONDecodeError):
        json.loads(pieces)
    assert calls(streamed) == calls(whole)
    assert [name for name, _ in calls(whole)] == ["write_files"]


async def test_a_prompt_can_be_read_without_an_answer(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    said = await create(sdk, **but(asked, max_tokens=0))
    assert (said.content, said.stop_reason, said.usage.output_tokens) == ([], "max_tokens", 0)


async def test_a_stop_sequence_ends_the_words_before_it(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    said = await create(sdk, **asked)
    assert "script" in words(said)
    cut = await create(sdk, **asked, stop_sequences=["rehearsal", "script"])
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", "rehearsal")
    assert words(said).startswith(words(cut))
    assert "rehearsal" not in words(cut)
    assert calls(cut) == []


async def test_a_refusal_says_why_in_words_and_in_its_details(
    sdk: vendor.AsyncAnthropic, asked: dict[str, Any]
) -> None:
    messages = [{"role": "user", "content": "A chess clock"}]
    said = await create(sdk, **but(asked, messages=messages))
    assert said.stop_reason == "refusal"
    assert said.stop_details is not None
    assert said.stop_details.explanation == (
        "No script for this idea: this is a rehearsal. Set ANTHROPIC_API_KEY for any idea."
    )
    assert IDEA in words(said)


# Streams


async def test_every_event_is_whole_and_in_the_apis_order(anthropic: Service, asked: dict[str, Any]) -> None:
    async with vendor.AsyncAnthropic(api_key=anthropic.key, base_url=anthropic.direct_url) as sdk:
        raw = await sdk.messages.with_raw_response.create(**asked, stream=True, thinking={"type": "adaptive"})
        lines = (await raw.http_response.aread()).decode().splitlines()
    assert raw.headers["content-type"].startswith("text/event-stream")
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    told: list[Any] = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert names == [event["type"] for event in told]
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in told:
        if event["type"] != "ping":
            adapter.validate_python(event)
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-2:] == ["message_delta", "message_stop"]
    assert told[0]["message"]["stop_reason"] is None
    assert told[-2]["usage"]["output_tokens"] > told[0]["message"]["usage"]["output_tokens"]
    assert told[-2]["usage"]["input_tokens"] == told[0]["message"]["usage"]["input_tokens"]


async def test_a_stream_and_a_whole_message_say_the_same(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    whole = await create(sdk, **asked)
    async with sdk.messages.stream(**asked) as stream:
        kinds = {event.type async for event in stream}
        streamed = await stream.get_final_message()
    assert {"text", "input_json", "content_block_stop", "message_stop"} <= kinds
    assert (words(streamed), calls(streamed)) == (words(whole), calls(whole))
    assert len(calls(whole)) == 4
    assert streamed.usage == whole.usage


# Tools


async def test_a_forced_call_fits_its_schema(sdk: vendor.AsyncAnthropic, model: str) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "$defs": {"unit": {"enum": ["km", "miles"]}},
        "properties": {
            "distance": {"type": "number", "exclusiveMinimum": 0},
            "unit": {"$ref": "#/$defs/unit"},
            "splits": {"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 60, "multipleOf": 7}},
            "on": {"type": "string", "format": "date"},
            "note": {"anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]},
            "place": {
                "allOf": [{"required": ["city"], "properties": {"city": {"type": "string", "minLength": 12}}}],
                "type": "object",
            },
        },
        "required": ["distance", "unit", "splits", "on", "note", "place"],
    }
    tools: list[Any] = [
        {"name": "other", "input_schema": {"type": "object"}},
        {"name": "log_run", "input_schema": schema},
    ]
    said = await sdk.messages.create(
        model=model,
        max_tokens=1000,
        messages=[{"role": "user", "content": "Log a run of 5 km in Rotterdam Noord."}],
        tools=tools,
        tool_choice={"type": "tool", "name": "log_run"},
    )
    assert said.stop_reason == "tool_use"
    [(name, given)] = calls(said)
    assert name == "log_run"
    validate(given, schema, Draft202012Validator, format_checker=Draft202012Validator.FORMAT_CHECKER)


async def test_any_calls_a_tool_and_none_calls_none(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    other = but(asked, messages=[{"role": "user", "content": "A chess clock"}])
    assert len(calls(await create(sdk, **other, tool_choice={"type": "any"}))) == 1
    told = await create(sdk, **asked, tool_choice={"type": "none"})
    assert (calls(told), told.stop_reason) == ([], "end_turn")


async def test_calls_come_together_or_one_by_one(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    together = await create(sdk, **asked, tool_choice={"type": "auto"})
    single = await create(sdk, **asked, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert len(calls(together)) > 1
    assert calls(single) == calls(together)[:1]


async def test_results_may_be_errors_and_pictures(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    first = await create(sdk, **asked)
    got: list[Any] = [
        {"content": "It broke.", "is_error": True},
        {"content": [{"type": "text", "text": "Seen."}, picture(png(4, 4))]},
        {},
        {"content": "{}"},
    ]
    ids = [block.id for block in first.content if block.type == "tool_use"]
    answers: Any = [{"type": "tool_result", "tool_use_id": of, **result} for of, result in zip(ids, got, strict=True)]
    messages = [*asked["messages"], first.to_param(), {"role": "user", "content": answers}]
    stopped = await create(sdk, **but(asked, messages=messages))
    assert "It broke." in words(stopped)


class Verdict(BaseModel):
    suits: bool
    reason: str


async def test_an_answer_in_a_format_is_parsed_by_the_sdk(sdk: vendor.AsyncAnthropic, model: str) -> None:
    said = await sdk.messages.parse(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": "Does a chess clock suit a runner?"}],
        output_format=Verdict,
        thinking={"type": "disabled"},
    )
    assert isinstance(said.parsed_output, Verdict)


async def test_the_sdks_tool_runner_plays_a_turn_to_its_end(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    heard: list[str] = []

    @vendor.beta_async_tool
    async def get_env() -> str:
        """What is here."""
        heard.append("get_env")
        return json.dumps({"names": []})

    runner = sdk.beta.messages.tool_runner(
        model=asked["model"],
        max_tokens=100,
        messages=asked["messages"],
        tools=[get_env],
        thread=False,
        tool_choice={"type": "tool", "name": "get_env"},
        max_iterations=2,
    )
    said = [message async for message in runner]
    assert [message.stop_reason for message in said] == ["tool_use", "tool_use"]
    assert heard[0] == "get_env"


# Images


async def test_pictures_are_taken_and_cost_by_their_size(sdk: vendor.AsyncAnthropic, model: str) -> None:
    async def cost(*blocks: Any) -> int:
        content: Any = [*blocks, {"type": "text", "text": "What is this?"}]
        counted = await sdk.messages.count_tokens(model=model, messages=[{"role": "user", "content": content}])
        return counted.input_tokens

    bare, small, large = await asyncio.gather(cost(), cost(picture(png(20, 20))), cost(picture(png(900, 900))))
    assert bare < small < large


# Thinking


async def test_each_form_of_thinking_is_taken(sdk: vendor.AsyncAnthropic, asked: dict[str, Any]) -> None:
    forms: list[Any] = [{"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive", "display": "omitted"}]
    for thinking in (*forms, {"type": "between_tools"}, {"type": "disabled"}):
        said = await create(sdk, **asked, thinking=thinking, output_config={"effort": "low"})
        assert said.stop_reason == "tool_use"


# Counting, models


async def test_what_is_counted_is_what_a_message_is_charged(sdk: vendor.AsyncAnthropic, model: str) -> None:
    counted = await sdk.messages.count_tokens(model=model, messages=HELLO, system="Be brief.")
    said = await sdk.messages.create(model=model, max_tokens=16, messages=HELLO, system="Be brief.")
    assert counted.input_tokens == said.usage.input_tokens
    longer = await sdk.messages.count_tokens(model=model, messages=[{"role": "user", "content": "Hi there. " * 300}])
    assert longer.input_tokens > 600


async def test_models_are_listed_in_pages_and_found_by_id(sdk: vendor.AsyncAnthropic, model: str) -> None:
    known = [one.id async for one in sdk.models.list(limit=1)]
    assert model in known
    after = await sdk.models.list(after_id=known[-1])
    assert (after.data, after.has_more) == ([], False)
    assert all([one.lifecycle == "retired" async for one in sdk.models.list(lifecycle=["retired"])])
    found = await sdk.models.retrieve(model)
    assert (found.id, found.lifecycle) == (model, "active")
    assert found.max_tokens == 128_000


async def test_the_beta_resource_is_the_same_door(sdk: vendor.AsyncAnthropic, model: str) -> None:
    said = await sdk.beta.messages.create(model=model, max_tokens=16, messages=HELLO, betas=["output-128k-2025-02-19"])
    assert said.model == model
    assert [one.id async for one in sdk.beta.models.list()]


@pytest.mark.timeout(110)
async def test_the_javascript_sdk(anthropic: Service, model: str, node_tests: Callable[..., Awaitable[None]]) -> None:
    await node_tests(
        HERE / "anthropic" / "messages.test.mjs",
        ANTHROPIC_BASE_URL=anthropic.base_url,
        ANTHROPIC_API_KEY=anthropic.key,
        MODEL=model,
        IDEA="" if anthropic.live else IDEA,
    )
