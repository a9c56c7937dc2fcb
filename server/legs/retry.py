"""One retry policy for every vendor: few tries, spread out, inside the leg's time, and not against a dead vendor."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from random import Random

TRIES = 4
FIRST_PAUSE = 0.5  # doubled each time, then cut by up to half
LONGEST_UNBOUNDED = 30.0  # what is waited where nobody set a time
INSIST_SECONDS = 0.5
# 1,000 sessions in an hour of a dead vendor ask it 1,090 times: once each, and what this allows.
BUCKET = 30
REFILL_SECONDS = 60.0
SUCCESS_GIVES = 0.5

_ends: ContextVar[float] = ContextVar("the leg's time ends", default=inf)


@asynccontextmanager
async def within(seconds: float) -> AsyncGenerator[None]:
    """Bound what is awaited inside, `TimeoutError` past it; retries in there know how much is left."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a context manager is entered by a task
    token = _ends.set(loop.time() + seconds)
    extra = 0

    def insist() -> None:
        # A cancellation can get lost where an SDK uses `asyncio.wait_for` (Python 3.11), so one is not enough.
        nonlocal extra, insisting
        extra += task.cancel()
        insisting = loop.call_later(INSIST_SECONDS, insist)

    insisting = loop.call_later(seconds + INSIST_SECONDS, insist)
    try:
        async with asyncio.timeout(seconds):
            try:
                yield
            finally:
                insisting.cancel()
                for _ in range(extra):
                    task.uncancel()
    finally:
        _ends.reset(token)


def seconds_left() -> float:
    """Of the time set by the innermost `within`."""
    ends = _ends.get()
    return LONGEST_UNBOUNDED if ends == inf else ends - asyncio.get_running_loop().time()


class Retries:
    """One vendor's retries. Its bucket empties while the vendor fails, and then nothing is asked twice."""

    def __init__(
        self,
        random: Random,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._random = random
        self._sleep = sleep
        self._clock = clock
        self._tokens = float(BUCKET)
        self._filled_at = clock()

    def allowed(self) -> bool:
        """Whether one more try may be made; it is counted."""
        now = self._clock()
        self._tokens = min(BUCKET, self._tokens + (now - self._filled_at) / REFILL_SECONDS)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def worked(self) -> None:
        """A try succeeded."""
        self._tokens = min(BUCKET, self._tokens + SUCCESS_GIVES)

    async def pause(self, attempt: int, told: float | None = None) -> bool:
        """Wait as long as the vendor told, or as is usual; False at once when the leg's time ends before that."""
        jitter = self._random.uniform(0.5, 1.0)
        seconds = FIRST_PAUSE * 2 ** (attempt - 1) * jitter if told is None else told + 0.2 * jitter
        if seconds >= seconds_left():
            return False
        await self._sleep(seconds)
        return True


def retry_after(value: str | None) -> float | None:
    """`Retry-After` as seconds from now; both forms of RFC 9110, section 10.2.3. None for anything else."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(seconds, 0) if seconds == seconds and seconds < inf else None  # noqa: PLR0124 - not a number
