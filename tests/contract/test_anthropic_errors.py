"""What the Messages API refuses, in its words, and what the unmodified SDK makes of it."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import anthropic as vendor
import httpx
import pytest
from anthropic.types import ImageDimensionsTooLargeError
from anthropic.types.shared import ErrorResponse

from tests.contract.anthropic_sdk import HELLO, TOOLS, picture, png

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


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": [*blocks]}


def told(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [*blocks]}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def call(name: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "get_env", "input": {}}


def result(name: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": "ok", **more}


HI: dict[str, Any] = {"role": "user", "content": "Hi"}
TEXT: dict[str, Any] = {"type": "text", "text": "Hi"}
KEEP = {"type": "ephemeral"}
TOOL = TOOLS[0]
ANYWHERE = "; the directive-only form (content: [] with output_config) is accepted at any position"
MISSING = (
    "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each `tool_use` "
    "block must have a corresponding `tool_result` block in the next message."
)

UNEXPECTED = (
    "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each `tool_result` block "
    "must have a corresponding `tool_use` block in the previous message."
)
SHAPE: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"extra_body": {"max_tokens": "ten"}}, "max_tokens: Input should be a valid integer"),
    (
        {"extra_body": {"max_tokens": 999_999}},
        "max_tokens: 999999 > 128000, which is the maximum allowed number of output tokens for ",
    ),
    ({"extra_body": {"thread": {}}}, "thread: Extra inputs are not permitted"),
    ({"extra_body": {"temperature": 1.0}}, "temperature: Extra inputs are not permitted"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": [user({"text": "Hi"})]}, "messages.0.content.0.type: Field required"),
    (
        {"messages": [user({**TEXT, "cache_control": {**KEEP, "scope": "turn"}})]},
        "messages.0.content.0.text.cache_control.ephemeral.scope: Extra inputs are not permitted",
    ),
    (
        {"tools": [{**TOOL, "cache_control": {**KEEP, "scope": "turn"}}]},
        "tools.0.custom.cache_control.ephemeral.scope: Extra inputs are not permitted",
    ),
    (
        {"tools": [{**TOOL, "name": "get env"}]},
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "any"}}, "tool_choice may only be specified while providing tools."),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "elsewhere"}},
        "Tool 'elsewhere' not found in provided tools",
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 10}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 5000}},
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    ({"stop_sequences": ["\n"]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ({"service_tier": "gold"}, "service_tier: Input should be 'auto' or 'standard_only'"),
    ({"metadata": {"user_id": "x" * 257}}, "metadata.user_id: String should have at most 256 characters"),
    (
        {"messages": [user(*[{**TEXT, "cache_control": KEEP}] * 5)]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        {"messages": [user({**TEXT, "cache_control": KEEP}, {**TEXT, "cache_control": {**KEEP, "ttl": "1h"}})]},
        "messages.0.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'",
    ),
]
ORDER: list[tuple[list[Any], str]] = [
    ([told(TEXT), HI], 'messages: first message must use the "user" role'),
    ([HI, told(TEXT)], "This model does not support assistant message prefill. The conversation must end with a user"),
    ([{"role": "user", "content": ""}], "messages.0: all messages must have non-empty content"),
    ([HI, told(), HI], "messages.1: all messages must have non-empty content"),
    ([user(TEXT, {"type": "text", "text": ""})], "messages: text content blocks must be non-empty"),
    ([HI, told(call()), HI], MISSING),
    ([HI, told(call()), user(TEXT, result())], MISSING),
    ([HI, told(call(), call("toolu_2")), user(result())], MISSING.replace("after: toolu_1", "after: toolu_2")),
    (
        [HI, told(TEXT), user(result("toolu_9"))],
        UNEXPECTED,
    ),
    (
        [HI, told(call()), user(result(), result())],
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: ",
    ),
    (
        [HI, told(call()), user(result()), told(call()), user(result())],
        "messages.3.content.0: `tool_use` ids must be unique",
    ),
    ([user(call())], "messages.0: `tool_use` blocks can only be in `assistant` messages"),
    ([HI, told(result())], "messages.1: `tool_result` blocks can only be in `user` messages"),
    (
        [HI, told(call()), user(result(content="", is_error=True))],
        "messages.2.content.0.tool_result: content cannot be empty if `is_error` is true",
    ),
    (
        [HI, told({"type": "thinking", "thinking": "Hm", "signature": "forged"}), HI],
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    ([HI, system("")], "messages.1: system content must contain at least one block"),
    (
        [system("Be brief."), HI],
        f"messages.0: use the top-level 'system' parameter for the initial system prompt{ANYWHERE}",
    ),
    (
        [HI, told(TEXT), system("x"), HI],
        (
            "messages.2: role 'system' must follow a 'user' message or an 'assistant' message ending in a server tool "
            f"result{ANYWHERE}"
        ),
    ),
    (
        [HI, system("x"), system("y"), HI],
        f"messages.2: role 'system' must precede an 'assistant' message or end the array{ANYWHERE}",
    ),
    (
        [HI, told({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}), HI],
        "messages.1: `document` blocks can only be in `user` messages",
    ),
]
SOURCE = "messages.0.content.0.image.source.base64"
PICTURES: list[tuple[list[Any], str]] = [
    (
        [picture("aGk=", "image/svg+xml")],
        f"{SOURCE}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
    ),
    ([picture("not base64!")], f"{SOURCE}: invalid base64 data"),
    ([picture(b64encode(b"<html>").decode())], "Could not process image"),
    ([picture(png(2, 2), "image/jpeg")], f"{SOURCE}.data: Image does not match the provided media type image/jpeg"),
    (
        [picture("A" * (5 * 1024 * 1024 + 4))],
        f"{SOURCE}: image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes",
    ),
    ([picture(png(1, 1))] * 101, "Too much media: 0 document pages + 101 images > 100"),
    (
        [{"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}}],
        "messages.0.content.0.image.source.url.url: Only HTTPS URLs are supported.",
    ),
]


async def refusal(sdk: vendor.AsyncAnthropic, **asked: Any) -> vendor.APIStatusError:
    request: dict[str, Any] = {"max_tokens": 2048, "messages": HELLO, **asked}
    with pytest.raises(vendor.APIStatusError) as refused:
        await sdk.messages.create(**request)
    ErrorResponse.model_validate(refused.value.response.json())
    assert str(refused.value.request_id).startswith("req_")
    return refused.value


@pytest.mark.parametrize(("change", "sentence"), SHAPE, ids=[sentence[:60] for _, sentence in SHAPE])
async def test_a_request_of_the_wrong_shape_is_told_where(
    sdk: vendor.AsyncAnthropic, model: str, change: dict[str, Any], sentence: str
) -> None:
    refused = await refusal(sdk, model=model, **change)
    assert (refused.status_code, refused.type) == (400, "invalid_request_error")
    assert str(refused.api_message).startswith(sentence)


@pytest.mark.parametrize(("messages", "sentence"), ORDER, ids=[sentence[:60] for _, sentence in ORDER])
async def test_a_conversation_out_of_order_is_told_where(
    sdk: vendor.AsyncAnthropic, model: str, messages: list[Any], sentence: str
) -> None:
    refused = await refusal(sdk, model=model, messages=messages, tools=[TOOL])
    assert (refused.status_code, refused.type) == (400, "invalid_request_error")
    assert str(refused.api_message).startswith(sentence)
    with pytest.raises(vendor.BadRequestError, match=r".+"):
        await sdk.messages.count_tokens(model=model, messages=messages, tools=[TOOL])


@pytest.mark.parametrize(("blocks", "sentence"), PICTURES, ids=[sentence[:60] for _, sentence in PICTURES])
async def test_a_picture_the_api_does_not_take_is_told_why(
    sdk: vendor.AsyncAnthropic, model: str, blocks: list[Any], sentence: str
) -> None:
    refused = await refusal(sdk, model=model, messages=[user(*blocks)])
    assert refused.api_message == sentence


@pytest.mark.parametrize(("count", "limit", "why"), [(1, 8000, ""), (21, 2000, " for many-image requests")])
async def test_a_picture_too_large_is_an_error_of_its_own_class(
    sdk: vendor.AsyncAnthropic, model: str, count: int, limit: int, why: str
) -> None:
    small, large = picture(png(1, 1)), picture(png(1, limit + 1))
    seen = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [large]}
    messages: Any = [user(*[small] * (count - 1), TEXT), told(call()), user(seen)]
    with pytest.raises(ImageDimensionsTooLargeError) as refused:
        await sdk.messages.create(model=model, max_tokens=10, messages=messages, tools=[TOOL])
    assert refused.value.details.paths == ["messages.2.content.0.content.0"]
    assert refused.value.details.max_side_length_pixels == limit
    assert refused.value.api_message == (
        "messages.2.content.0.tool_result.content.0.image.source.base64.data: At least one of the image dimensions "
        f"exceed max allowed size{why}: {limit} pixels"
    )


async def test_an_unknown_model_is_not_found(sdk: vendor.AsyncAnthropic) -> None:
    refused = await refusal(sdk, model="no-such-model")
    assert (refused.status_code, refused.type, refused.api_message) == (404, "not_found_error", "model: no-such-model")


async def test_only_a_known_key_opens_it_and_the_older_header_counts_first(anthropic: Service) -> None:
    async def refused(**credentials: Any) -> str:
        async with vendor.AsyncAnthropic(base_url=anthropic.base_url, max_retries=0, **credentials) as client:
            with pytest.raises(vendor.AuthenticationError) as problem:
                await client.models.list()
            assert problem.value.type == "authentication_error"
            return str(problem.value.api_message)

    assert await refused(api_key="sk-ant-api03-wrong")
    assert "x-api-key" in await refused(api_key=anthropic.key, default_headers={"x-api-key": "wrong"})
    async with vendor.AsyncAnthropic(auth_token=anthropic.key, api_key=None, base_url=anthropic.base_url) as client:
        assert (await client.models.list()).data


async def test_a_version_must_be_said_and_be_one_of_the_vendors(anthropic: Service, model: str) -> None:
    body = {"model": model, "max_tokens": 8, "messages": HELLO, "temperature": 1.0}
    async with httpx.AsyncClient(base_url=anthropic.base_url, headers={"x-api-key": anthropic.key}) as client:

        async def sent(version: str | None) -> httpx.Response:
            return await client.post(
                "/v1/messages", json=body, headers={"anthropic-version": version} if version else {}
            )

        silent, old, new, strange = [await sent(one) for one in (None, "2023-06-01", "2026-10-21", "1999-12-31")]
    assert silent.json()["error"]["message"] == "anthropic-version: header is required"
    assert old.status_code == 200, "as it was before sampling parameters were taken away"
    assert new.json()["error"]["message"] == "temperature: Extra inputs are not permitted"
    assert '"1999-12-31" is not a valid version' in strange.json()["error"]["message"]


async def test_another_workspace_is_forbidden(anthropic: Service) -> None:
    async with vendor.AsyncAnthropic(api_key=anthropic.key, base_url=anthropic.base_url, max_retries=0) as client:
        own = (await client.models.with_raw_response.list()).headers.get("anthropic-workspace-id", "")
        if own:
            assert (await client.models.list(workspace_id=own)).data
        if anthropic.live:
            pytest.skip("a live key may act on several workspaces")
        with pytest.raises(vendor.PermissionDeniedError) as refused:
            await client.models.list(workspace_id="wrkspc_01elsewhere")
    assert (refused.value.type, refused.value.workspace_id) == ("permission_error", own)


async def test_a_request_too_large_is_refused_before_it_is_read(
    anthropic: Service, sdk: vendor.AsyncAnthropic, model: str
) -> None:
    huge = "a" * (32 * 1024 * 1024)
    with pytest.raises(vendor.ContentTooLargeError) as refused:
        await sdk.messages.create(model=model, max_tokens=10, messages=[{"role": "user", "content": huge}])
    assert refused.value.response.json()["error"]["type"] == "request_too_large"


async def test_what_the_rehearsal_does_not_have_says_so(anthropic: Service, sdk: vendor.AsyncAnthropic) -> None:
    if anthropic.live:
        pytest.skip("the vendor has them")
    for absent in (sdk.messages.batches.list, sdk.files.list, sdk.skills.list):
        with pytest.raises(vendor.NotFoundError, match="this is the rehearsal, which has no /v1/"):
            await absent()
    tools: list[Any] = [{"type": "web_search_20250305", "name": "web_search"}]
    refused = await refusal(sdk, model="rehearsal", tools=tools)
    assert "does not support tool types: web_search_20250305" in str(refused.api_message)
    with pytest.raises(vendor.NotFoundError, match="Not Found"):
        await sdk.get("/v1/elsewhere", cast_to=object)
    with pytest.raises(vendor.APIStatusError) as wrong:
        await sdk.get("/v1/messages", cast_to=object)
    assert (wrong.value.status_code, wrong.value.type) == (405, "invalid_request_error")
