"""What a request must be. The sentences follow the API's own, closely enough to mend a request by."""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from server.twins.anthropic.conversation import blocks_of
from server.twins.anthropic.errors import error, invalid

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.twins.anthropic.conversation import Json

MODEL = "rehearsal"
_FIELDS = """
model messages max_tokens system tools tool_choice stream metadata stop_sequences thinking
cache_control output_config service_tier container context_management mcp_servers diagnostics
inference_geo speed
"""
FIELDS = frozenset(_FIELDS.split())


def check(body: Any, credential: Secret, *, counting: bool = False) -> Json:
    """The body, if the API would take it. Raises the error it would answer with."""
    if not isinstance(body, dict):
        raise invalid("The request body is not valid JSON: expected an object")
    request = cast("Json", body)
    for name in ("model", "messages", *(() if counting else ("max_tokens",))):
        if name not in request:
            raise invalid(f"{name}: Field required")
    if unknown := sorted(set(request) - FIELDS):
        raise invalid(f"{unknown[0]}: Extra inputs are not permitted")
    if not counting and (not isinstance(request["max_tokens"], int) or request["max_tokens"] < 1):
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    if request["model"] != MODEL:
        raise error(404, f"model: {request['model']}")
    try:
        _check_messages(request["messages"], credential)
    except (KeyError, TypeError, AttributeError):
        raise invalid("messages: Input should be a list of messages with blocks of content") from None
    return request


def signature(thinking: str, credential: Secret) -> str:
    """Ties a thinking block to this twin, as the API ties its own to the model."""
    return b64encode(hmac.digest(credential.reveal().encode(), thinking.encode(), sha256)).decode()


def _check_messages(messages: Any, credential: Secret) -> None:
    if not isinstance(messages, list) or not messages:
        raise invalid("messages: at least one message is required")
    told, open_calls = cast("list[Json]", messages), list[str]()
    for place, message in enumerate(told):
        if message.get("role") not in {"user", "assistant"}:
            raise invalid(f"messages.{place}.role: Input should be 'user' or 'assistant'")
        blocks = blocks_of(message.get("content", ""))
        if not blocks or any(block["type"] == "text" and not block["text"] for block in blocks):
            raise invalid(f"messages.{place}: text content blocks must be non-empty")
        _check_results(place, message["role"], blocks, open_calls)
        _check_thinking(place, blocks, credential)
        open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    if open_calls:
        raise invalid(_unanswered(len(told) - 1, open_calls))


def _check_results(place: int, role: str, blocks: list[Json], open_calls: list[str]) -> None:
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    if missing := [call for call in open_calls if role != "user" or call not in answered]:
        raise invalid(_unanswered(place - 1, missing))
    if stray := [call for call in answered if call not in open_calls]:
        raise invalid(f"messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {stray[0]}")


def _unanswered(place: int, calls: list[str]) -> str:
    return (
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}"
    )


def _check_thinking(place: int, blocks: list[Json], credential: Secret) -> None:
    for index, block in enumerate(blocks):
        if block["type"] == "thinking":
            good = signature(block.get("thinking", ""), credential)
            if not hmac.compare_digest(good, str(block.get("signature", ""))):
                raise invalid(f"messages.{place}.content.{index}: Invalid `signature` in `thinking` block")
