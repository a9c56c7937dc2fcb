"""The Messages API through the unmodified `anthropic` SDKs: its doors, what a request may hold, counting, models."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic as vendor
import pytest
from anthropic.types import Message, MessageTokensCount, ModelInfo

from tests.contract.anthropic_sdk import HELLO, IDEA, TOOLS, create, picture, png, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.contract.conftest import Service

HERE = Path(__file__).parent


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


# Its doors


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


# What a request may hold


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


async def test_pictures_are_taken_and_cost_by_their_size(sdk: vendor.AsyncAnthropic, model: str) -> None:
    async def cost(*blocks: Any) -> int:
        content: Any = [*blocks, {"type": "text", "text": "What is this?"}]
        counted = await sdk.messages.count_tokens(model=model, messages=[{"role": "user", "content": content}])
        return counted.input_tokens

    bare, small, large = await asyncio.gather(cost(), cost(picture(png(20, 20))), cost(picture(png(900, 900))))
    assert bare < small < large


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
