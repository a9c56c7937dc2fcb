"""A long run as a command: what it may be told, what it tells a person or a program, and its exit code."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

Item = TypeVar("Item")
TOLD_EVERY_SECONDS = 10.0


@dataclass
class Run:
    """One long run under way: its figures, and what went wrong."""

    name: str
    seed: int
    count: int
    bad: list[str] = field(default_factory=list[str])
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    began: float = field(default_factory=time.monotonic)
    _told_at: float = 0.0

    def fail(self, why: str) -> None:
        """Something is bad: told now, and again at the end."""
        self.bad.append(why)
        print(f"{self.name}: BAD {why}", file=sys.stderr)  # noqa: T201

    def progress(self, done: int, total: int, more: str = "") -> None:
        """A line on stderr: every time on a terminal, now and then elsewhere."""
        now = time.monotonic()
        if sys.stderr.isatty() or now - self._told_at > TOLD_EVERY_SECONDS:
            self._told_at = now
            print(f"{self.name}: {done} of {total}, {len(self.bad)} bad {more}".rstrip(), file=sys.stderr)  # noqa: T201

    def tell(self, *, as_json: bool) -> int:
        """The verdict. 0 when nothing is bad."""
        seconds = round(time.monotonic() - self.began, 1)
        if as_json:
            told = {"run": self.name, "seed": self.seed, **self.figures, "seconds": seconds, "bad": self.bad}
            print(json.dumps(told))  # noqa: T201
            return 1 if self.bad else 0
        for line in self.bad:
            print(f"BAD  {line}")  # noqa: T201
        for name, value in self.figures.items():
            print(f"{name.replace('_', ' '):<36} {value}")  # noqa: T201
        verdict = f"failed: {len(self.bad)} bad" if self.bad else "passed"
        again = f"python -m tests.faults.{self.name} --seed {self.seed} --count {self.count}"
        print(f"{self.name} {verdict} in {seconds:g} s; again: {again}")  # noqa: T201
        return 1 if self.bad else 0


async def at_most(at_once: int, work: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    """`work` on each item, so many at a time."""
    room = asyncio.Semaphore(at_once)

    async def one(item: Item) -> None:
        async with room:
            await work(item)

    await asyncio.gather(*(one(item) for item in items))


def command(
    name: str,
    description: str | None,
    work: Callable[[Run, argparse.Namespace], Awaitable[None]],
    *,
    count: int,
    more: Callable[[argparse.ArgumentParser], object] = lambda _: None,
) -> int:
    """Parse the command line, do `work`, tell what came of it. `count`: how many when nobody says."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.faults.{name}", description=description)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=count, help=f"how many (default {count})")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of the verdict for a person")
    more(parser)
    asked = parser.parse_args()
    run = Run(name, asked.seed, asked.count)
    asyncio.run(_until_told_to_stop(run, work(run, asked)))
    return run.tell(as_json=asked.json)


async def _until_told_to_stop(run: Run, work: Awaitable[None]) -> None:
    """Either signal ends it in order: what it began is put away. A run in the background is deaf to the first."""
    task = asyncio.ensure_future(work)
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        run.fail("broken off")
