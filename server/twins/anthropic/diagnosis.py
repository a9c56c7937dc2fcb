"""Why a prompt's cache missed, by comparison with an earlier request (Claude docs, Cache diagnostics)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.anthropic.conversation import Json
    from server.twins.anthropic.prompt import Prompt
    from server.twins.anthropic.prompt_cache import Read

REMEMBERED = 1000


@dataclass(frozen=True)
class _Past:
    prompt: Prompt
    cached: int


class Diagnosis:
    """Remembers the prompts of the last messages, by the message's id."""

    def __init__(self) -> None:
        self._past: dict[str, _Past] = {}

    def clear(self) -> None:
        self._past.clear()

    def remember(self, message_id: str, prompt: Prompt, read: Read) -> None:
        self._past[message_id] = _Past(prompt, read.found + read.put)
        if len(self._past) > REMEMBERED:
            del self._past[next(iter(self._past))]

    def of(self, previous: str | None, prompt: Prompt, read: Read) -> Json | None:
        """The answer's `diagnostics`: nothing when nothing was asked, or nothing diverged."""
        if previous is None:
            return None
        past = self._past.get(previous)
        if past is None:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        reason = _divergence(past.prompt, prompt)
        if not reason:
            return None
        missed: Json = {"type": reason}
        if reason != "unavailable":
            missed["cache_missed_input_tokens"] = max(0, past.cached - read.found)
        return {"cache_miss_reason": missed}


def _divergence(past: Prompt, now: Prompt) -> str:
    if past.model != now.model:
        return "model_changed"
    for part in ("tools", "system"):
        if past.end_of(part) != now.end_of(part):
            return f"{part}_changed"
    if past.manner != now.manner:
        return "unavailable"
    appended = past.end_of("messages") in {segment.prefix for segment in now.segments}
    return "" if appended else "messages_changed"
