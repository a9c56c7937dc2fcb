"""Reading the request's messages: what the person asked for, what was answered, what the tools found."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, cast

Json = dict[str, Any]
_ASIDE = re.compile(r"<(session|host)>.*?</\1>", re.DOTALL)
"""What the host tells the model beside the person's words."""


@dataclass(frozen=True)
class Result:
    """What came of one tool call."""

    text: str
    is_error: bool

    @property
    def data(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def failed(self) -> bool:
        """The tool failed, or the command it ran, or the page it looked at."""
        data = self.data
        if self.is_error or not isinstance(data, dict):
            return self.is_error
        seen = cast("Json", data)
        status = seen.get("status")
        bad_page = isinstance(status, int) and status >= 400  # noqa: PLR2004 - HTTP's own line
        return bool(seen.get("exit_code") or seen.get("console_errors") or seen.get("error") or bad_page)

    @property
    def complaint(self) -> str:
        """The part of a failed result that says what was wrong."""
        data = self.data
        if not isinstance(data, dict):
            return self.text
        seen = cast("Json", data)
        told = [str(seen[name]) for name in ("error", "console_errors", "stderr", "stdout") if seen.get(name)]
        return "\n".join(told) or self.text

    def names(self) -> set[str]:
        """Environment names in an answer of get_env, wherever it lists them."""
        return set(_names(self.data))


@dataclass
class Round:
    """One message of the model, and what its calls came to."""

    calls: list[Json]
    results: dict[str, Result] = field(default_factory=dict[str, Result])

    def result(self, place: int) -> Result:
        call = self.calls[place] if place < len(self.calls) else {}
        return self.results.get(call.get("id", ""), Result("no answer", is_error=True))


@dataclass
class Act:
    """What followed one request of the person."""

    idea: str
    rounds: list[Round] = field(default_factory=list[Round])
    aside: str = ""
    """What the host said last, if the model has not answered it yet."""


def acts(messages: list[Json]) -> list[Act]:
    """The conversation, one act per request of the person."""
    told: list[Act] = []
    for message in messages:
        blocks = blocks_of(message["content"])
        if message["role"] == "system":
            continue
        if message["role"] == "assistant":
            if told:
                told[-1].rounds.append(Round([block for block in blocks if block["type"] == "tool_use"]))
                told[-1].aside = ""
            continue
        spoken = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        idea = _ASIDE.sub("", spoken).strip()
        if told and told[-1].rounds:
            told[-1].rounds[-1].results.update(_results(blocks))
        if idea:
            told.append(Act(idea))
        elif told:
            told[-1].aside = spoken
    return told


def blocks_of(content: Any) -> list[Json]:
    """A message's content as blocks; the API also takes a bare string."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else cast("list[Json]", content)


def _results(blocks: list[Json]) -> dict[str, Result]:
    return {
        block["tool_use_id"]: Result(
            "\n".join(part["text"] for part in blocks_of(block.get("content") or "") if part["type"] == "text"),
            bool(block.get("is_error")),
        )
        for block in blocks
        if block["type"] == "tool_result"
    }


def _names(data: Any) -> list[str]:
    if isinstance(data, list):
        return [
            name for item in cast("list[Any]", data) for name in ([item] if isinstance(item, str) else _names(item))
        ]
    if not isinstance(data, dict):
        return []
    found: list[str] = []
    for key, value in cast("Json", data).items():
        if key == "name" and isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict | list):
            found += _names(value)
    return found
