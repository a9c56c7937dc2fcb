"""Faults a test or a curious user orders: which requests, what goes wrong, how often."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from secrets import token_hex

HOLD_LIMIT = 600.0
"""Seconds a held request waits before it goes on unreleased, so that a forgotten barrier ends."""


@dataclass(frozen=True)
class Fault:
    """What happens to a matching request: held, then delayed, then hung, answered, or answered and lost."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic at the edge, never changed

    id: str = ""
    method: str = "*"
    path: str = ".*"
    """A regular expression over the whole path, without the query."""
    status: int | None = None
    """Answer with this and do nothing."""
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay_ms: int = 0
    hang: bool = False
    """Never answer and do nothing; ends when the client hangs up."""
    lose_answer: bool = False
    """Do what was asked, then drop the connection without a byte of answer."""
    times: int | None = None
    """How many requests it meets; `None` for every one."""
    hold: str | None = None
    """A named barrier the request waits at until it is released."""

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and re.fullmatch(self.path, path) is not None


class Faults:
    """The faults now ordered and the requests now held. Lives in memory: a restarted twin is a healthy one."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._barriers: dict[str, asyncio.Event] = {}
        self._held: Counter[str] = Counter()

    def add(self, fault: Fault) -> Fault:
        """The fault with its id. Raises `re.error` when its path is not a regular expression."""
        re.compile(fault.path)
        fault = replace(fault, id=fault.id or token_hex(4), method=fault.method.upper())
        self._faults[fault.id] = fault
        return fault

    def list(self) -> list[Fault]:
        return [*self._faults.values()]

    def remove(self, fault_id: str) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Forget every fault and let every held request go on."""
        self._faults.clear()
        for barrier in [*self._barriers]:
            self.release(barrier)

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault this request meets, counted as met."""
        for fault in self._faults.values():
            if fault.matches(method, path):
                if fault.times is not None:
                    self._count_down(fault, fault.times - 1)
                return fault
        return None

    def _count_down(self, fault: Fault, left: int) -> None:
        if left > 0:
            self._faults[fault.id] = replace(fault, times=left)
        else:
            del self._faults[fault.id]

    async def hold(self, barrier: str) -> None:
        """Wait at the barrier until it is released."""
        event = self._barriers.setdefault(barrier, asyncio.Event())
        self._held[barrier] += 1
        try:
            async with asyncio.timeout(HOLD_LIMIT):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._held[barrier] -= 1

    def held(self) -> dict[str, int]:
        return {barrier: waiting for barrier, waiting in self._held.items() if waiting > 0}

    def release(self, barrier: str) -> None:
        """Let go whoever waits there now; the next to come waits anew."""
        if event := self._barriers.pop(barrier, None):
            event.set()
