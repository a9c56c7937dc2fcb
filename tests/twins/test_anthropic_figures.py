"""The Anthropic twin's figures: what the prompt cache makes of `usage`, and the limits with their headers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from tests.twins.anthropic_stage import KEY, TOOLS, Rehearsed, rehearsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anthropic.types import Message

LONG = "A sentence of about ten tokens, told again and again. " * 150
MARK: Any = {"type": "ephemeral"}
HOUR: Any = {"type": "ephemeral", "ttl": "1h"}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Rehearsed]:
    async with rehearsing(tmp_path) as rehearsed:
        yield rehearsed


@pytest.fixture
async def sdk(stage: Rehearsed) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=stage.url, max_retries=0) as client:
        yield client


def text(words: str, mark: Any = None) -> Any:
    return {"type": "text", "text": words} | ({"cache_control": mark} if mark else {})


async def ask(sdk: anthropic.AsyncAnthropic, *, messages: Any = "Hi", **more: Any) -> Message:
    told = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    asked: dict[str, Any] = {"model": "rehearsal", "max_tokens": 8, "messages": told, **more}
    door: Any = sdk.messages
    return await door.create(**asked)


def figures(message: Message) -> tuple[int, int, int]:
    """Found in the cache, put into it, and neither."""
    usage = message.usage
    assert usage.cache_creation is not None
    assert usage.cache_creation_input_tokens == (
        usage.cache_creation.ephemeral_5m_input_tokens + usage.cache_creation.ephemeral_1h_input_tokens
    )
    return usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0, usage.input_tokens


async def test_a_marked_prefix_is_put_once_then_found_and_the_sum_stays_what_is_counted(
    sdk: anthropic.AsyncAnthropic,
) -> None:
    system = [text(LONG, MARK)]
    counted = await sdk.messages.count_tokens(
        model="rehearsal", system=system, messages=[{"role": "user", "content": "Hi"}]
    )
    found, put, fresh = figures(await ask(sdk, system=system))
    assert (found, put + fresh) == (0, counted.input_tokens)
    assert put > 1024 > fresh > 0
    assert figures(await ask(sdk, system=system)) == (put, 0, fresh)
    longer = figures(await ask(sdk, system=system, messages="Hi, and good morning to you"))
    assert longer[:2] == (put, 0)
    assert longer[2] > fresh


async def test_without_a_mark_or_too_short_nothing_is_cached(sdk: anthropic.AsyncAnthropic) -> None:
    for system in ([text(LONG)], [text("Be brief.", MARK)]):
        for _ in range(2):
            assert figures(await ask(sdk, system=system))[:2] == (0, 0)


async def test_the_automatic_mark_moves_with_the_conversation(sdk: anthropic.AsyncAnthropic) -> None:
    """As our loop asks for it."""
    messages: list[Any] = [{"role": "user", "content": LONG}]
    _, put, fresh = figures(await ask(sdk, messages=messages, cache_control=MARK))
    assert fresh == 0
    messages += [{"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go on."}]
    found, more, fresh = figures(await ask(sdk, messages=messages, cache_control=MARK))
    assert (found, fresh) == (put, 0)
    assert 0 < more < 40


async def test_a_change_forgets_what_comes_after_it_and_nothing_before(sdk: anthropic.AsyncAnthropic) -> None:
    whole: dict[str, Any] = {
        "tools": [{**TOOLS[0], "description": LONG, "cache_control": MARK}],
        "system": [text(LONG, MARK)],
        "messages": [{"role": "user", "content": [text(LONG, MARK)]}],
    }
    _, total, _ = figures(await ask(sdk, **whole))
    other_words = {**whole, "messages": [{"role": "user", "content": [text(LONG + "!", MARK)]}]}
    other_choice = {**whole, "tool_choice": {"type": "none"}}
    other_system = {**whole, "system": [text(LONG + "!", MARK)]}
    other_tools = {**whole, "tools": [{**whole["tools"][0], "name": "elsewhere"}]}
    kept = [figures(await ask(sdk, **each))[0] for each in (other_words, other_choice, other_system, other_tools)]
    assert kept[0] == kept[1]
    assert total > kept[1] > kept[2] > kept[3] == 0


async def test_a_prefix_is_forgotten_after_its_time_and_each_use_begins_it_anew(
    stage: Rehearsed, sdk: anthropic.AsyncAnthropic
) -> None:
    for mark, seconds, name in ((MARK, 300, "ephemeral_5m_input_tokens"), (HOUR, 3600, "ephemeral_1h_input_tokens")):
        system = [text(f"{seconds} {LONG}", mark)]
        first = await ask(sdk, system=system)
        _, put, _ = figures(first)
        assert first.usage.cache_creation is not None
        assert getattr(first.usage.cache_creation, name) == put > 0
        for _ in range(3):
            stage.clock.pass_seconds(seconds - 1)
            assert figures(await ask(sdk, system=system))[0] == put
        stage.clock.pass_seconds(seconds + 1)
        assert figures(await ask(sdk, system=system))[:2] == (0, put)


async def test_the_diagnosis_names_what_changed(sdk: anthropic.AsyncAnthropic) -> None:
    whole: dict[str, Any] = {"tools": TOOLS, "system": [text(LONG, MARK)]}

    async def reason(previous: str | None, **change: Any) -> Any:
        said = await ask(sdk, **{**whole, **change}, diagnostics={"previous_message_id": previous})
        return said.diagnostics and said.diagnostics.cache_miss_reason

    first = await ask(sdk, **whole)
    assert await reason(None) is None
    assert await reason(first.id) is None
    assert (await reason(first.id, system=[text("Another." + LONG, MARK)])).type == "system_changed"
    assert (await reason(first.id, tools=TOOLS[:1])).type == "tools_changed"
    assert (await reason(first.id, messages="Good morning")).type == "messages_changed"
    assert (await reason(first.id, tool_choice={"type": "none"})).type == "unavailable"
    assert (await reason("msg_elsewhere")).type == "previous_message_not_found"
    missed = await reason(first.id, system=[text("Nothing.", MARK)])
    assert missed.cache_missed_input_tokens > 1024


async def test_the_headers_count_down_and_say_when_they_begin_anew(
    stage: Rehearsed, sdk: anthropic.AsyncAnthropic
) -> None:
    seen: list[dict[str, str]] = []
    for _ in range(2):
        raw = await sdk.messages.with_raw_response.create(
            model="rehearsal", max_tokens=8, messages=[{"role": "user", "content": LONG}]
        )
        seen.append(dict(raw.headers))
    first, second = (int(each["anthropic-ratelimit-requests-remaining"]) for each in seen)
    assert second == first - 1
    for of in ("requests", "input-tokens", "output-tokens", "tokens"):
        assert int(seen[0][f"anthropic-ratelimit-{of}-limit"]) >= int(seen[0][f"anthropic-ratelimit-{of}-remaining"])
        reset = datetime.fromisoformat(seen[0][f"anthropic-ratelimit-{of}-reset"])
        assert 0 < (reset - stage.clock()).total_seconds() <= 60
    assert int(seen[1]["anthropic-ratelimit-input-tokens-remaining"]) % 1000 == 0


async def test_past_a_limit_it_is_refused_until_the_minute_is_over(
    stage: Rehearsed, sdk: anthropic.AsyncAnthropic
) -> None:
    await stage.twin("PUT", "limits", {"allowances": {"requests": {"limit": 2, "seconds": 60}}})
    await ask(sdk)
    stage.clock.pass_seconds(20)
    await ask(sdk)
    with pytest.raises(anthropic.RateLimitError) as refused:
        await ask(sdk)
    assert refused.value.type == "rate_limit_error"
    assert "rate limit of 2 requests per minute" in str(refused.value.api_message)
    headers = refused.value.response.headers
    assert (headers["retry-after"], headers["x-should-retry"]) == ("40", "true")
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    stage.clock.pass_seconds(41)
    await ask(sdk)
    await stage.twin("PUT", "limits", {"enforced": False})
    for _ in range(3):
        await ask(sdk)


async def test_tokens_found_in_the_cache_do_not_count_towards_the_limit(
    stage: Rehearsed, sdk: anthropic.AsyncAnthropic
) -> None:
    await stage.twin("PUT", "limits", {"allowances": {"input_tokens": {"limit": 3000, "seconds": 60}}})
    system = [text(LONG, MARK)]
    for _ in range(5):
        await ask(sdk, system=system)
    with pytest.raises(anthropic.RateLimitError, match="3,000 input tokens per minute"):
        await ask(sdk, system=[text("Another. " + LONG, MARK)])


async def test_the_sdk_waits_as_long_as_it_is_told_and_no_longer_than_it_may(stage: Rehearsed) -> None:
    overload = {"path": "/v1/messages", "status": 529, "headers": {"retry-after-ms": "1"}, "times": 2}
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=stage.url, max_retries=2) as client:
        await stage.twin("POST", "faults", overload)
        assert (await ask(client)).stop_reason == "max_tokens"
        await stage.twin("POST", "faults", {**overload, "headers": {"x-should-retry": "false"}})
        with pytest.raises(anthropic.OverloadedError):
            await ask(client)
        met = len((await stage.twin("GET", "faults"))["faults"])
    assert met == 1, "it did not ask again"


@pytest.mark.parametrize(
    ("kind", "after", "told"),
    [("overloaded_error", 3, "Overloaded"), ("api_error", 1, "Internal server error"), ("rate_limit_error", 6, "")],
)
async def test_a_stream_can_fail_in_the_middle(
    stage: Rehearsed, sdk: anthropic.AsyncAnthropic, kind: str, after: int, told: str
) -> None:
    await stage.twin("POST", "stream_errors", {"type": kind, "after": after})
    hello: Any = [{"role": "user", "content": "Hi"}]
    stream = await sdk.messages.create(model="rehearsal", max_tokens=64, messages=hello, stream=True)
    seen: list[str] = []

    async def listen() -> None:
        seen.extend([event.type async for event in stream])

    with pytest.raises(anthropic.APIStatusError) as broken:
        await listen()
    assert (broken.value.status_code, broken.value.type) == (200, kind)
    assert told in str(broken.value.api_message)
    assert (await ask(sdk)).stop_reason == "max_tokens", "once is once"
