"""The model, as the loop sees it: one call that gives the next message. Here on the `anthropic` SDK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agent_loop.limits import PRICES, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from anthropic import APIStatusError, AsyncAnthropic
    from anthropic.types import Message as ApiMessage

Json = dict[str, Any]
ANTHROPIC_URL = "https://api.anthropic.com"


@dataclass(frozen=True)
class Message:
    """One answer of the model. `content` holds whole blocks, thinking and its signatures included."""

    content: list[Json]
    stop_reason: str
    usage: Usage
    explanation: str = ""
    """Of a refusal, where the model gives one."""


class ModelError(Exception):
    """The model could not answer. Our own words; `retryable` when asking again may help."""

    def __init__(self, message: str, next_action: str, *, retryable: bool = False) -> None:
        super().__init__(f"{message} {next_action}".strip())
        self.message = message
        self.next_action = next_action
        self.retryable = retryable


class Model(Protocol):
    @property
    def id(self) -> str: ...

    async def next_message(
        self,
        *,
        system: list[Json],
        tools: list[Json],
        messages: list[Json],
        max_tokens: int,
        on_delta: Callable[[str, str], None],
    ) -> Message:
        """The next message, with `on_delta(kind, text)` called as it arrives; kind is text or thinking.

        Raises `ModelError`.
        """
        ...


def open_model(
    model_id: str,
    *,
    api_key: str | None = None,
    auth_token: str | None = None,
    base_url: str | None = None,
    max_retries: int = 2,
) -> AnthropicModel:
    """A model behind the Messages API: Anthropic's own, a gateway, a local server or the twin.

    Everything is said here, so that the SDK's reading of the environment decides nothing.
    """
    from anthropic import AsyncAnthropic

    if api_key:
        auth_token = None  # the SDK takes one or the other
    elif not auth_token:
        auth_token = "none"  # noqa: S105 - a local server without authentication still gets a header
    client = AsyncAnthropic(
        api_key=api_key or None,
        auth_token=auth_token,
        base_url=base_url or ANTHROPIC_URL,
        max_retries=max_retries,
    )
    return AnthropicModel(client, model_id)


class AnthropicModel:
    def __init__(self, client: AsyncAnthropic, model_id: str) -> None:
        self._client = client
        self._id = model_id

    @property
    def id(self) -> str:
        return self._id

    async def close(self) -> None:
        await self._client.close()

    async def next_message(
        self,
        *,
        system: list[Json],
        tools: list[Json],
        messages: list[Json],
        max_tokens: int,
        on_delta: Callable[[str, str], None],
    ) -> Message:
        request: Json = {"system": system, "tools": tools, "messages": messages, "max_tokens": max_tokens}
        if self._id.startswith("claude-") and self._id in PRICES:
            # Today's models put what they say between two tool calls into thinking, and leave it empty
            # unless asked ("What's new in Claude Opus 5.5"). A run that says nothing for minutes looks dead.
            request["thinking"] = {"type": "adaptive", "display": "summarized"}
        try:
            async with self._client.messages.stream(
                model=self._id, cache_control={"type": "ephemeral"}, **request
            ) as stream:
                async for event in stream:
                    if event.type == "text":
                        on_delta("text", event.text)
                    elif event.type == "thinking":
                        on_delta("thinking", event.thinking)
                answer = await stream.get_final_message()
        except Exception as error:  # noqa: BLE001 - the model's edge: no vendor text passes it
            raise _in_our_words(error, self._id) from None
        if answer.stop_reason is None:
            raise ModelError("The model's answer broke off.", "Run it again.", retryable=True)
        return _message(answer)


def _message(answer: ApiMessage) -> Message:
    blocks = [block.model_dump(mode="json", exclude_none=True, exclude={"parsed_output"}) for block in answer.content]
    usage = answer.usage
    explanation = (answer.stop_details and answer.stop_details.explanation) or ""
    return Message(
        content=[block for block in blocks if block["type"] != "text" or block["text"]],
        stop_reason=answer.stop_reason or "",
        usage=Usage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens or 0,
            usage.cache_creation_input_tokens or 0,
        ),
        explanation=explanation,
    )


def _in_our_words(error: Exception, model_id: str) -> ModelError:
    import anthropic

    if isinstance(error, anthropic.APITimeoutError):
        return ModelError("The model did not answer in time.", "Run it again.", retryable=True)
    if isinstance(error, anthropic.APIConnectionError):
        return ModelError(
            "The model could not be reached.", "Check the network and ANTHROPIC_BASE_URL.", retryable=True
        )
    if not isinstance(error, anthropic.APIStatusError):
        return ModelError("The model's answer broke off.", "Run it again.", retryable=True)
    return _refusal_in_our_words(error, model_id)


def _refusal_in_our_words(error: APIStatusError, model_id: str) -> ModelError:
    # A stream that fails half way has status 200; only the body's type says what happened.
    for statuses, kinds, told in _TOLD:
        if error.status_code in statuses or error.type in kinds:
            return ModelError(told[0].format(model=model_id), told[1], retryable=told[2])
    # There is no type of its own for an empty account on older accounts, only this sentence.
    if "credit balance" in (error.api_message or ""):
        return ModelError(*_NO_CREDIT[:2])
    if error.status_code >= 500 or error.type == "api_error":  # noqa: PLR2004 - HTTP's own line
        return ModelError("The model's service failed.", "Run it again in a minute.", retryable=True)
    return ModelError(
        f"The model's service refused the request (HTTP {error.status_code}).",
        "Try another model with --model.",
    )


_NO_CREDIT = (
    "The Anthropic account has no credit left.",
    "Add credit in the Anthropic console, then resume the run.",
    False,
)
_TOLD: tuple[tuple[tuple[int, ...], tuple[str, ...], tuple[str, str, bool]], ...] = (
    (
        (401,),
        ("authentication_error",),
        ("The model's credential was refused.", "Check ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN).", False),
    ),
    ((402,), ("billing_error",), _NO_CREDIT),
    (
        (403,),
        ("permission_error",),
        ("The credential may not use the model {model}.", "Choose another with --model.", False),
    ),
    (
        (404,),
        ("not_found_error",),
        ("There is no model called {model}.", "Choose another with --model or MK0R_MODEL.", False),
    ),
    (
        (413,),
        ("request_too_large",),
        ("The conversation is too large for the model.", "Start a new session for the next change.", False),
    ),
    (
        (429,),
        ("rate_limit_error",),
        ("The Anthropic account is at its rate limit.", "Resume the run in a minute.", True),
    ),
    ((529,), ("overloaded_error",), ("The model is overloaded.", "Resume the run in a minute.", True)),
)
