"""Faults a test or a curious user orders: which requests, what goes wrong, how often. What each does is in `meet`."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from server.twins.core.listener import Listener

HOLD_LIMIT = 600.0
"""Seconds a held request waits before it goes on unreleased, so that a forgotten barrier ends."""
REMEMBERED = 1000
"""How many encounters are kept to be looked at."""


@dataclass(frozen=True)
class Fault:
    """What happens to a matching request: held, delayed, then one of the effects below, or nothing more."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic at the edge, never changed

    id: str = ""
    method: str = "*"
    """An HTTP method, or `WEBSOCKET`."""
    path: str = ".*"
    """A regular expression over the whole path, without the query."""
    skip: int = 0
    """How many matching requests pass before the first that meets it."""
    times: int | None = None
    """How many requests it meets; `None` for every one."""
    probability: float = 1.0
    seed: int | None = None
    """Makes `probability` and `jitter_ms` repeat themselves."""

    hold: str | None = None
    """A named barrier the request waits at until it is released."""
    delay_ms: int = 0
    jitter_ms: int = 0
    """Up to so much longer."""

    status: int | None = None
    """Answer with this, `body` and `headers` in the vendor's place."""
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    done: bool = False
    """Whether the vendor does what was asked before an answer in its place; otherwise it does nothing."""
    hang: bool | Literal["headers", "body", "connect"] = False
    """`headers` (or true): do nothing and never answer. `body`: answer half, then no more. `connect`: for
    `seconds`, from now on, nobody gets a connection; `path` and `method` do not matter."""
    seconds: float = 5.0
    reset: bool = False
    """Do nothing and cut the connection."""
    lose_answer: bool = False
    """Do what was asked, then cut the connection without a byte of answer."""
    truncate: int | None = None
    """Send so many bytes of the true answer's body, then cut the connection."""
    drop_field: str | None = None
    """Take a field, `like.this`, out of the true answer's JSON."""
    pad: int | None = None
    """Follow the true answer with so many bytes of white space: correct, and too big."""

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and re.fullmatch(self.path, path) is not None


@dataclass(frozen=True)
class Encounter:
    """One request that met a fault."""

    fault: str
    method: str
    path: str


class Faults:
    """The faults now ordered and the requests now held. Lives in memory: a restarted twin is a healthy one."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._chance: dict[str, random.Random] = {}
        self._barriers: dict[str, asyncio.Event] = {}
        self._held: Counter[str] = Counter()
        self.met: deque[Encounter] = deque(maxlen=REMEMBERED)
        self.listeners: list[Listener] = []
        """Where this twin listens, told by whoever serves it."""

    def add(self, fault: Fault) -> Fault:
        """The fault with its id. Raises `re.error` when its path is not a regular expression."""
        re.compile(fault.path)
        fault = replace(fault, id=fault.id or token_hex(4), method=fault.method.upper())
        if fault.hang == "connect":
            for listener in self.listeners:
                listener.deafen(fault.seconds)
            return fault
        self._chance[fault.id] = random.Random(fault.seed)  # noqa: S311 - a die to repeat, not a secret
        self._faults[fault.id] = fault
        return fault

    def list(self) -> list[Fault]:
        return [*self._faults.values()]

    def remove(self, fault_id: str) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Forget every fault and let every held request go on."""
        self._faults.clear()
        self.met.clear()
        for listener in self.listeners:
            listener.hear()
        for barrier in [*self._barriers]:
            self.release(barrier)

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault this request meets, counted as met, its delay decided."""
        for fault in [*self._faults.values()]:
            if not fault.matches(method, path):
                continue
            if fault.skip:
                self._faults[fault.id] = replace(fault, skip=fault.skip - 1)
                continue
            chance = self._chance[fault.id]
            if chance.random() >= fault.probability:
                continue
            if fault.times is not None:
                self._count_down(fault, fault.times - 1)
            self.met.append(Encounter(fault.id, method, path))
            return replace(fault, delay_ms=fault.delay_ms + round(chance.random() * fault.jitter_ms), jitter_ms=0)
        return None

    def _count_down(self, fault: Fault, left: int) -> None:
        if left > 0:
            self._faults[fault.id] = replace(fault, times=left)
        else:
            del self._faults[fault.id]

    async def wait(self, fault: Fault) -> None:
        """What a fault makes a request wait for before its effect."""
        if fault.hold:
            await self._hold(fault.hold)
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)

    async def _hold(self, barrier: str) -> None:
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
