"""The order of a conversation: whose turn it is, and what may stand in it.

The sentences are those the live API is reported to answer with; places count the client's own messages.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from server.twins.anthropic import calls
from server.twins.anthropic.conversation import blocks_of
from server.twins.anthropic.errors import invalid

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.twins.anthropic.conversation import Json

BELONGS = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_result": "user",
    "image": "user",
    "document": "user",
    "search_result": "user",
}
ANYWHERE = "; the directive-only form (content: [] with output_config) is accepted at any position"
EMPTY = "all messages must have non-empty content except for the optional final assistant message"
PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


def signature(thinking: str, credential: Secret) -> str:
    """Ties a thinking block to this twin, as the API ties its own to the model."""
    return b64encode(hmac.digest(credential.reveal().encode(), thinking.encode(), sha256)).decode()


def check(messages: list[Json], credential: Secret, *, old: bool) -> None:
    """Raises the first thing that is out of order. `old`: as of version 2023-06-01."""
    if not messages:
        raise invalid("messages: at least one message is required")
    _check_system(messages)
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    for place, message in enumerate(messages):
        _check_blocks(place, message, credential, old=old)
    calls.check(messages)


def _check_system(messages: list[Json]) -> None:
    """A system message stands between a user's and the assistant's, or at the end.

    Source: Claude docs, Mid-conversation system messages.
    """
    roles = [message["role"] for message in messages]
    for place, message in enumerate(messages):
        if message["role"] != "system":
            continue
        at = f"messages.{place}"
        blocks = blocks_of(message["content"]) if message["content"] else []
        if not blocks:
            raise invalid(f"{at}: system content must contain at least one block")
        if any(block["type"] != "text" for block in blocks):
            raise invalid(f"{at}: role 'system' supports text, tool_addition, and tool_removal blocks only")
        before = next((role for role in reversed(roles[:place]) if role != "system"), None)
        if before is None:
            raise invalid(f"{at}: use the top-level 'system' parameter for the initial system prompt{ANYWHERE}")
        if before != "user":
            raise invalid(
                f"{at}: role 'system' must follow a 'user' message or an 'assistant' message ending in a server tool "
                f"result{ANYWHERE}"
            )
        if place + 1 < len(roles) and roles[place + 1] == "user":
            raise invalid(f"{at}: role 'system' must precede an 'assistant' message or end the array{ANYWHERE}")


def _check_blocks(place: int, message: Json, credential: Secret, *, old: bool) -> None:
    blocks = blocks_of(message["content"]) if message["content"] else []
    if not blocks:
        raise invalid(f"messages.{place}: {EMPTY}")
    for index, block in enumerate(blocks):
        at, kind = f"messages.{place}.content.{index}", block["type"]
        belongs = BELONGS.get(kind, message["role"])
        if message["role"] != "system" and belongs != message["role"] and not (old and kind == "document"):
            raise invalid(f"messages.{place}: `{kind}` blocks can only be in `{belongs}` messages")
        match kind:
            case "text":
                _check_text(block, message["role"], at, old=old)
            case "thinking":
                if not hmac.compare_digest(signature(block["thinking"], credential), block["signature"]):
                    raise invalid(f"{at}: Invalid `signature` in `thinking` block")
            case "redacted_thinking":
                raise invalid(f"{at}: Invalid `data` in `redacted_thinking` block")
            case "document":
                _check_document(block, at)
            case "tool_result" if block.get("is_error") and not block.get("content"):
                raise invalid(f"{at}.tool_result: content cannot be empty if `is_error` is true")
            case _:
                pass


def _check_text(block: Json, role: str, at: str, *, old: bool) -> None:
    if not block["text"]:
        raise invalid("messages: text content blocks must be non-empty")
    if block.get("citations") and role == "user" and not old:
        raise invalid(f"{at}.text.citations: Citations are not permitted on text blocks in user messages")


def _check_document(block: Json, at: str) -> None:
    if block["source"]["type"] != "text":
        raise invalid(f"{at}.document.source: This model reads plain text documents only")
