"""What was said here, so that a person can read it: one record a conversation, renewed with every request of it."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from server.twins.anthropic.conversation import acts, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server.twins.anthropic.conversation import Json
    from server.twins.core import Site

KIND = "conversation"
KEPT = 100
"""Conversations; the ones not heard of for longest go first."""
SHOWN = 600
"""Characters of one block."""


class Conversations:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._records = site.records()

    def note(self, asked: Json, answer: Json) -> None:
        """Take in a request that was answered. A conversation is known by how it began."""
        beginning = json.dumps([asked.get("system"), asked["messages"][0]], sort_keys=True)
        name = sha256(beginning.encode()).hexdigest()[:12]
        now, before = self._site.timestamp(), self._records.get(KIND, name)
        usage: Json = answer["usage"]
        figures = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        totals = (before or {}).get("usage", {})
        messages = [*asked["messages"], {"role": "assistant", "content": answer["content"]}]
        self._records.put(
            KIND,
            name,
            {
                "id": name,
                "began": before["began"] if before else now,
                "last": now,
                "idea": _idea(asked["messages"]),
                "requests": before["requests"] + 1 if before else 1,
                "stop_reason": answer["stop_reason"],
                "usage": {figure: totals.get(figure, 0) + usage[figure] for figure in figures},
                "tools": dict(Counter(block["name"] for block in _blocks(messages) if block["type"] == "tool_use")),
                "turns": [turn for message in messages for turn in _turns(message)],
            },
        )
        if before is None:
            self._forget()

    def all(self) -> list[Json]:
        """The latest first."""
        return sorted(self._records.all(KIND), key=lambda one: one["last"], reverse=True)

    def one(self, name: str) -> Json:
        """Raises `KeyError`."""
        found = self._records.get(KIND, name)
        if found is None:
            raise KeyError(name)
        return found

    def save(self, folder: Path) -> None:
        self._records.save(folder / "conversations.sqlite")

    def load(self, folder: Path) -> None:
        self._records.load(folder / "conversations.sqlite")

    def clear(self) -> None:
        self._records.clear()

    def _forget(self) -> None:
        for old in self.all()[KEPT:]:
            self._records.delete(KIND, old["id"])


def _idea(messages: list[Json]) -> str:
    told = acts(messages)
    return told[0].idea if told else "(no words)"


def _blocks(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        yield from blocks_of(message["content"])


def _turns(message: Json) -> Iterator[Json]:
    for block in blocks_of(message["content"]):
        yield {"role": message["role"], "what": block["type"], "text": _clipped(_told(block))}


def _told(block: Json) -> str:
    match block["type"]:
        case "tool_use":
            return f"{block['name']} {json.dumps(block['input'], ensure_ascii=False)}"
        case "tool_result":
            content = block.get("content") or ""
            inner = (
                content if isinstance(content, str) else "\n".join(_told(part) for part in cast("list[Json]", content))
            )
            return f"failed: {inner}" if block.get("is_error") else inner
        case "image":
            source: Any = block["source"]
            return f"({source.get('media_type') or source.get('url') or source['type']})"
        case kind:
            return str(block.get("text") or block.get("thinking") or f"({kind})")


def _clipped(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({len(text):,} characters)"
