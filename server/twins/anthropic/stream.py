"""A message as server-sent events, in the API's order and in pieces as small as a model's (Claude docs, Streaming)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from server.twins.anthropic import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from server.twins.anthropic.conversation import Json

PIECE = 256
"""Characters of a tool's JSON input per event."""
CUMULATIVE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
)
"""What `message_delta` says of the usage, as totals."""


def events(message: Json, unfinished: str | None = None) -> Iterator[str]:
    """The whole stream of a finished message. `unfinished` is the last block's input where it was cut."""
    usage: Json = {**message["usage"], "output_tokens": min(1, message["usage"]["output_tokens"])}
    del usage["output_tokens_details"]
    begun: Json = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    yield event("message_start", message={**begun, "usage": usage})
    yield from _blocks(message["content"], unfinished)
    ended = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield event("message_delta", delta=ended, usage={name: message["usage"][name] for name in CUMULATIVE})
    yield event("message_stop")


def _blocks(blocks: list[Json], unfinished: str | None) -> Iterator[str]:
    if not blocks:
        yield event("ping")
    for index, block in enumerate(blocks):
        begin, deltas = _pieces(block, unfinished if index == len(blocks) - 1 else None)
        yield event("content_block_start", index=index, content_block=begin)
        if index == 0:
            yield event("ping")
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)


def _pieces(block: Json, unfinished: str | None) -> tuple[Json, Iterable[Json]]:
    """A block as it begins, and the deltas that fill it."""
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": word} for word in tokens.pieces(block["text"])
            ]
        case "thinking":
            words = tokens.pieces(block["thinking"])
            thoughts: list[Json] = [{"type": "thinking_delta", "thinking": word} for word in words]
            sign: Json = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thoughts, sign]
        case _:
            text = json.dumps(block["input"], ensure_ascii=False) if unfinished is None else unfinished
            parts = ["", *(text[at : at + PIECE] for at in range(0, len(text), PIECE))]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, ensure_ascii=False)}\n\n"
