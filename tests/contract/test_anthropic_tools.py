"""Tools in the Messages API through the unmodified `anthropic` SDK: calls, their choice, results, and formats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic as vendor
import pytest
from jsonschema import Draft202012Validator, validate
from pydantic import BaseModel

from tests.contract.anthropic_sdk import IDEA, TOOLS, but, calls, create, picture, png, words

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
