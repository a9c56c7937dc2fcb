"""The primary rate limit: so many calls an hour per token (GitHub docs, "Rate limits for the REST API").

The secondary limits (80 creations a minute, 500 an hour, 100 calls at once) would be counted here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AUTHENTICATED, ANONYMOUS = 5000, 60
WINDOW = timedelta(hours=1)


@dataclass
class Window:
    limit: int
    ends: datetime
    used: int = 0

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def count(self) -> bool:
        """Use one call; whether there was one left."""
        self.used += 1
        return self.used <= self.limit

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Used": str(min(self.used, self.limit)),
            "X-RateLimit-Reset": str(int(self.ends.timestamp())),
            "X-RateLimit-Resource": "core",
        }

    def document(self) -> dict[str, int]:
        used = min(self.used, self.limit)
        return {"limit": self.limit, "used": used, "remaining": self.remaining, "reset": int(self.ends.timestamp())}


class Limits:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}

    def window(self, token: str | None) -> Window:
        """The window a token's calls are counted in now; None stands for strangers."""
        now = self._clock()
        window = self._windows.get(token or "")
        if window is None or window.ends <= now:
            window = Window(AUTHENTICATED if token else ANONYMOUS, now + WINDOW)
            self._windows[token or ""] = window
        return window
