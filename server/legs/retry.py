"""One retry policy for every vendor: few tries, spread out, inside the leg's time, and not against a dead vendor."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import TYPE_CHECKING

from server.legs.deadline import seconds_left

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

TRIES = 4
FIRST_PAUSE = 0.5  # doubled each time, then cut by up to half
# 1,000 sessions in an hour of a dead vendor ask it 1,090 times: once each, and what this allows.
BUCKET = 30
REFILL_SECONDS = 60.0
SUCCESS_GIVES = 0.5


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
