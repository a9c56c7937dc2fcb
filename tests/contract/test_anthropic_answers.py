"""An answer of the Messages API through the unmodified `anthropic` SDK: whole or streamed, and why it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic as vendor
import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.contract.anthropic_sdk import HELLO, IDEA, TOOLS, but, calls, create, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Service


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
