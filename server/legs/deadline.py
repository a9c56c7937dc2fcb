"""How long a leg may take: its time, which stands still while it waits for its turn at a vendor."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

LONGEST_UNBOUNDED = 30.0  # what is waited where nobody set a time
INSIST_SECONDS = 0.5


class _Deadline:
    """When the time is over, and how long it may still stand still."""

    def __init__(
        self, seconds: float, queue_seconds: float, queued: Callable[[float], None], check_wanted: Callable[[], None]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a context manager is entered by a task
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time() + seconds
        self._still_until = self._loop.time()
        self._extra = 0
        self._insisting = self._loop.call_at(self._at + INSIST_SECONDS, self._insist)
        self.bound = asyncio.timeout_at(self._at)
        self.queue_seconds = queue_seconds
        self.queued = queued
        self.check_wanted = check_wanted
        self.has_begun = False

    def left(self) -> float:
        return self._at - self._loop.time()

    def patience(self) -> float:
        """From now: what is left of the time, or what it may stand still for."""
        granted = max(self._still_until - self._loop.time(), 0.0)
        return max(self.left(), granted + self.queue_seconds) if self.left() > 0 else self.left()

    def stand_still_until(self, moment: float) -> None:
        """Of the event loop's clock. What is granted already is not granted again."""
        more = moment - max(self._loop.time(), self._still_until)
        if not 0 < more <= self.queue_seconds:
            return
        self._still_until = moment
        self.queue_seconds -= more
        self._at += more
        self.bound.reschedule(self._at)
        self._insisting.cancel()
        self._insisting = self._loop.call_at(self._at + INSIST_SECONDS, self._insist)
        self.queued(moment - self._loop.time())

    def end(self) -> None:
        self._insisting.cancel()
        for _ in range(self._extra):
            self._task.uncancel()

    def _insist(self) -> None:
        # A cancellation can get lost where an SDK uses `asyncio.wait_for` (Python 3.11), so one is not enough.
        self._extra += self._task.cancel()
        self._insisting = self._loop.call_later(INSIST_SECONDS, self._insist)


_deadline: ContextVar[_Deadline | None] = ContextVar("the leg's deadline", default=None)


@asynccontextmanager
async def within(
    seconds: float,
    *,
    queue_seconds: float = 0.0,
    queued: Callable[[float], None] = lambda _: None,
    check_wanted: Callable[[], None] = lambda: None,
) -> AsyncGenerator[None]:
    """Bound what is awaited inside, `TimeoutError` past it; retries in there know how much is left.

    Up to `queue_seconds` of waiting for turns at a vendor do not count: that is not the vendor's fault, and how long
    it takes is known beforehand. `queued` hears each time how long. `check_wanted` raises `LegError` where nothing is
    to be made any more; it is asked when the first turn comes, if that was waited for, and not once anything may have
    been made.
    """
    deadline = _Deadline(seconds, queue_seconds, queued, check_wanted)
    token = _deadline.set(deadline)
    try:
        async with deadline.bound:
            try:
                yield
            finally:
                deadline.end()
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Of the time set by the innermost `within`."""
    deadline = _deadline.get()
    return LONGEST_UNBOUNDED if deadline is None else deadline.left()


def patience() -> float:
    """How far away a turn may be that is taken now, in seconds."""
    deadline = _deadline.get()
    return seconds_left() if deadline is None else deadline.patience()


def queue_until(moment: float) -> None:
    """A turn was taken that begins then: till then the time stands still, if it may for so long."""
    if deadline := _deadline.get():
        deadline.stand_still_until(moment)


def turn_came(*, waited: bool) -> None:
    """A turn begins. Raises `LegError` when it is the first, was waited for, and nobody wants it any more."""
    deadline = _deadline.get()
    if deadline and not deadline.has_begun:
        if waited:
            deadline.check_wanted()
        deadline.has_begun = True
