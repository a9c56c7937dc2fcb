"""The prompt cache: which prefixes were read before, for how long they are kept, and what that makes of `usage`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.anthropic.prompt import Prompt
    from server.twins.core import Site

MINIMUM = 1024
"""Tokens a prefix needs to be cached at all; it differs by model (Claude docs, Prompt caching)."""
LOOK_BACK = 20
"""Segments before a breakpoint in which an earlier prefix is found."""
SECONDS = {"5m": 300.0, "1h": 3600.0}
ENTRIES = 10_000


@dataclass(frozen=True)
class Read:
    """What one request cost: tokens found in the cache, put into it for each time to live, and neither."""

    found: int
    put_5m: int
    put_1h: int
    fresh: int

    @property
    def put(self) -> int:
        return self.put_5m + self.put_1h

    @property
    def charged(self) -> int:
        """What counts towards the rate limit of input tokens."""
        return self.put + self.fresh


class PromptCache:
    """Kept in memory, as the vendor's: nobody is promised more than a time to live."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._entries: dict[bytes, tuple[float, str]] = {}
        """When a prefix is forgotten, and its time to live, which a use begins anew."""

    def clear(self) -> None:
        self._entries.clear()

    def read(self, prompt: Prompt) -> Read:
        """Look the prompt up, and keep what its breakpoints ask to be kept."""
        now = self._site.clock().timestamp()
        upto = [*accumulate(segment.tokens for segment in prompt.segments)]
        marks = [at for at, segment in enumerate(prompt.segments) if segment.ttl and upto[at] >= MINIMUM]
        hit = self._longest(prompt, marks, now)
        found = upto[hit] if hit >= 0 else 0
        for at in marks:
            self._keep(prompt.segments[at].prefix, prompt.segments[at].ttl, now)
        if hit >= 0:
            self._keep(prompt.segments[hit].prefix, "", now)
        end = max([found, *(upto[at] for at in marks)])
        end_1h = max([found, *(upto[at] for at in marks if prompt.segments[at].ttl == "1h")])
        return Read(found, end - end_1h, end_1h - found, prompt.tokens - end)

    def _longest(self, prompt: Prompt, marks: list[int], now: float) -> int:
        """Where the longest known prefix ends that a breakpoint can see; -1 for none."""
        for mark in reversed(marks):
            for at in range(mark, max(mark - LOOK_BACK, -1), -1):
                until, _ = self._entries.get(prompt.segments[at].prefix, (0.0, ""))
                if until > now:
                    return at
        return -1

    def _keep(self, prefix: bytes, ttl: str, now: float) -> None:
        until, before = self._entries.get(prefix, (0.0, ""))
        ttl = "1h" if ttl == "1h" or (before == "1h" and until > now) else "5m"
        self._entries[prefix] = (now + SECONDS[ttl], ttl)
        if len(self._entries) > ENTRIES:
            self._entries = {name: entry for name, entry in self._entries.items() if entry[0] > now}
