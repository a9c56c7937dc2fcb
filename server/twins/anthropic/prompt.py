"""A request as the model reads it: tools, then system, then messages, in pieces a cached prefix may end at."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, cast

from server.twins.anthropic import tokens
from server.twins.anthropic.conversation import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.twins.anthropic.conversation import Json

UNCACHEABLE = frozenset({"thinking", "redacted_thinking"})
"""No breakpoint may stand on these; they are cached with what follows them."""


@dataclass(frozen=True)
class Segment:
    """One tool or block. `prefix` names everything up to and with it."""

    part: Literal["tools", "system", "messages"]
    prefix: bytes
    tokens: int
    ttl: Literal["", "5m", "1h"]
    """Of the breakpoint that stands here."""


@dataclass(frozen=True)
class Prompt:
    model: str
    manner: bytes
    """Names how the messages are to be read: what of the request is not in a segment and changes their cache."""
    segments: list[Segment]

    @property
    def tokens(self) -> int:
        return sum(segment.tokens for segment in self.segments)

    def end_of(self, part: str) -> bytes:
        """Names all of the prompt up to the end of `part`."""
        return next((segment.prefix for segment in reversed(self.segments) if segment.part == part), b"")


def read(asked: Json) -> Prompt:
    """`asked` is a request that was found valid."""
    prefix = _digest(b"", asked["model"])
    segments: list[Segment] = []
    # What changes how messages are read makes their cache a different one (Claude docs, Prompt caching).
    manner = _digest(b"", [asked.get("tool_choice"), asked.get("thinking")])
    for part, what, cost, ttl in _pieces(asked):
        if part == "messages" and (not segments or segments[-1].part != "messages"):
            prefix = _digest(prefix + manner, "messages")
        prefix = _digest(prefix, [part, what])
        segments.append(Segment(part, prefix, cost, ttl))
    return Prompt(asked["model"], manner, _with_automatic_breakpoint(asked, segments))


_Piece = tuple[Literal["tools", "system", "messages"], Any, int, Literal["", "5m", "1h"]]


def _pieces(asked: Json) -> Iterator[_Piece]:
    for tool in cast("list[Json]", asked.get("tools") or []):
        bare = _bare(tool)
        yield "tools", bare, tokens.count_json(bare), _ttl(tool)
    for block in blocks_of(asked.get("system") or []):
        yield "system", _bare(block), tokens.count_block(block), _ttl(block)
    for message in asked["messages"]:
        for index, block in enumerate(blocks_of(message["content"])):
            cost = tokens.count_block(block) + (0 if index else tokens.MESSAGE)
            yield "messages", [message["role"], _bare(block)], cost, _ttl(block)


def _with_automatic_breakpoint(asked: Json, segments: list[Segment]) -> list[Segment]:
    """Top-level `cache_control` marks the last block that can be marked."""
    control = asked.get("cache_control")
    kinds = [block["type"] for message in asked["messages"] for block in blocks_of(message["content"])]
    marked = [*segments]
    for back in range(1, len(kinds) + 1):
        if control and kinds[-back] not in UNCACHEABLE:
            marked[-back] = replace(marked[-back], ttl=control.get("ttl") or "5m")
            break
    return marked


def _bare(block: Json) -> Json:
    return {name: value for name, value in block.items() if name != "cache_control"}


def _ttl(block: Json) -> Literal["", "5m", "1h"]:
    control = block.get("cache_control")
    return (control.get("ttl") or "5m") if control else ""


def _digest(before: bytes, what: Any) -> bytes:
    return sha256(before + json.dumps(what, sort_keys=True).encode()).digest()
