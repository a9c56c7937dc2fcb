"""Where a run writes down what it has done, so that a second start of it goes on instead of starting over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Journal(Protocol):
    """Runs each step once over the life of a run.

    Steps are told apart by their order; `name` is for people and for noticing that the order changed. A
    step's result is JSON and holds no secret: an engine that survives a crash stores it readable.
    """

    async def step(self, name: str, work: Callable[[], Awaitable[T]], /) -> T: ...


class MemoryJournal:
    """A journal that lives as long as the process. `again()` replays it, as a restart would."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[str, Any]] = {}
        self._next = 0

    async def step(self, name: str, work: Callable[[], Awaitable[T]], /) -> T:
        place = self._next
        self._next += 1
        if place not in self._entries:
            # Through JSON, so that a result which would not survive a real engine fails here too.
            self._entries[place] = (name, json.loads(json.dumps(await work())))
        recorded, result = self._entries[place]
        if recorded != name:
            raise RuntimeError(f"step {place} was {recorded!r} when it was written and is {name!r} now")
        return result

    def again(self) -> MemoryJournal:
        """The same journal, read from its start."""
        replay = MemoryJournal()
        replay._entries = self._entries
        return replay
