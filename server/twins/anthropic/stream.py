"""A message as server-sent events, in the API's order and in pieces as small as a model's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.twins.anthropic.conversation import Json

PIECE = 256
"""Characters of a tool's JSON input per event."""


def events(message: Json) -> Iterator[str]:
    """The whole stream of a finished message."""
    usage: Json = {**message["usage"], "output_tokens": 1}
    begun: Json = {**message, "content": [], "stop_reason": None, "stop_details": None, "usage": usage}
    yield _event("message_start", message=begun)
    for index, block in enumerate(message["content"]):
        begin, deltas = _pieces(block)
        yield _event("content_block_start", index=index, content_block=begin)
        if index == 0:
            yield _event("ping")
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ended = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield _event("message_delta", delta=ended, usage=message["usage"])
    yield _event("message_stop")


def _pieces(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and the deltas that fill it."""
    match block["type"]:
        case "text":
            words: list[str] = re.findall(r"\s*\S+\s*", block["text"])
            return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in words]
        case "thinking":
            sign: Json = {"type": "signature_delta", "signature": block["signature"]}
            words = re.findall(r"\s*\S+\s*", block["thinking"])
            thoughts: list[Json] = [{"type": "thinking_delta", "thinking": word} for word in words]
            return {**block, "thinking": "", "signature": ""}, [*thoughts, sign]
        case _:
            text = json.dumps(block["input"], ensure_ascii=False)
            parts = ["", *(text[at : at + PIECE] for at in range(0, len(text), PIECE))]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, ensure_ascii=False)}\n\n"
