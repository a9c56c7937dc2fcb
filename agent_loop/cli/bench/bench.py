"""What every measurement is given, and the measurements there are."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent_loop.cli.bench.local import Local, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent_loop.cli.bench.callers import Asked
    from agent_loop.cli.bench.measure import Measure
    from server.local.home import Home

# what: what it says. In this order; each is a function of its own name in a module of its own name.
PARTS = {
    "waiting": "how long a person waits: the stack's start, a build to its skeleton and its end",
    "calls": "vendor calls per session, counted by the twins",
    "legs": "the wall clock over the slowest leg, at 1, 10 and 100 at once",
    "saturation": "sessions a second at saturation, over the vendors' limits",
    "claim": "a session from the warm pool against one made cold",
    "durability": "the journal's share: the same story without the workflow engine",
    "growth": "what a session costs among 10 others and among many, and the server's memory",
}


@dataclass
class Bench:
    """One run of the command."""

    environ: Mapping[str, str]
    say: Callable[[str], None]
    rounds: int
    full: bool = False
    few: bool = False
    """As little as shows that everything works: its figures mean nothing."""
    template_of: Home | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    _open: ExitStack = field(default_factory=ExitStack)
    _local: Local | None = None

    @property
    def levels(self) -> tuple[int, ...]:
        return (4, 8) if self.few else ()

    def many(self, usual: int) -> int:
        return min(usual, 4) if self.few else usual

    def note(self, name: str, told: Any) -> None:
        """Something that is no measure and belongs beside them."""
        self.notes[name] = told

    def local(self, *, fresh: bool = False) -> Local:
        """The whole local product, the same one for every measurement. `fresh`: with nothing prepared."""
        if self._local is None:
            self._local = self._open.enter_context(whole(self.environ, None if fresh else self.template_of))
        return self._local

    def destroy(self, local: Local, asked: list[Asked]) -> None:
        for one in asked:
            local.server().delete(f"/api/sessions/{one.slug}")

    def measure(self, parts: list[str]) -> list[Measure]:
        with self._open:
            return [row for part in parts for row in self._one(part)]

    def _one(self, part: str) -> list[Measure]:
        return getattr(import_module(f"agent_loop.cli.bench.{part}"), part)(self)
