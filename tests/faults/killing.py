"""Kills the processes of a whole installation at random, and starts them again: as power cuts, as an operator would."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import psycopg

from server.errors import StackError
from server.local import stack
from server.local.facts import VENDORS
from server.local.postgres_process import postmaster

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from random import Random

    from server.local.home import Home
    from tests.faults.servers import Server
    from tests.faults.stage import Stage

TARGETS = ("server", "server", "books", "twins", "twins_database")
DOWN_SECONDS = 1.5  # at most, before somebody starts it again
UP_SECONDS = 120.0
LONGEST_PAUSES = 3
# What happens to whoever starts something while something else is being killed.
PASSING = (StackError, AssertionError, OSError, psycopg.Error, httpx.HTTPError)


class Killing:
    """The seed decides who dies when; what dies is back within a moment."""

    def __init__(self, on: Stage, servers: list[Server], random: Random, *, pause: float) -> None:
        self._on = on
        self._servers = servers
        self._random = random
        self._pause = pause
        self._facts = on.stack.facts
        self.kills: Counter[str] = Counter()
        self._down_until = 0.0

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Kill, and mend, while the block runs."""
        over = asyncio.Event()  # what is just being killed or mended is so to its end
        tasks = [asyncio.create_task(work(over)) for work in (self._go_on, self._keep_mending)]
        try:
            yield
        finally:
            over.set()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    async def _go_on(self, over: asyncio.Event) -> None:
        while not await _within(self._random_pause(), over):
            target, server = self._random.choice(TARGETS), self._random.choice(self._servers)
            self._down_until = time.monotonic() + self._random.uniform(0, DOWN_SECONDS)
            self.kills[target] += await self._kill(target, server)

    def _random_pause(self) -> float:
        return min(self._random.expovariate(1 / self._pause), LONGEST_PAUSES * self._pause)

    async def _keep_mending(self, over: asyncio.Event) -> None:
        while not await _within(0.1, over):
            if time.monotonic() >= self._down_until:
                with suppress(*PASSING):
                    await self._mend()

    async def _kill(self, target: str, server: Server) -> bool:
        """Whether it was there to be killed."""
        if target == "server":
            there = server.is_running
            await server.kill()
            return there
        if target == "twins":
            return _killed(self._facts.pids.get("twins"))
        return _killed(_postmaster(self._on.cluster.home if target == "books" else self._on.stack.home))

    async def _mend(self) -> None:
        """Start whatever is not there."""
        if _postmaster(self._on.cluster.home) is None:
            await self._on.cluster.start()
        for server in self._servers:
            if not server.is_running:
                await server.spawn()
        if not stack.alive(self._on.stack.home, self._facts) or _postmaster(self._on.stack.home) is None:
            await self._mend_stack()

    async def _mend_stack(self) -> None:
        """Limits are off: a new twin has those of its vendor."""
        ports = {name: twin.port for name, twin in self._facts.twins.items()}
        facts = await stack.up(self._on.stack.home, lambda _: None, which=VENDORS, environ=os.environ)
        moved = {name: twin.port for name, twin in facts.twins.items()} != ports
        if moved:
            raise RuntimeError("another program took a twin's port while it was dead: begin anew")
        self._facts = replace(self._facts, pids=facts.pids)
        for vendor in facts.twins:
            await self._on.stack.twin(vendor, "PUT", "limits", {"enforced": False})

    async def all_up(self) -> None:
        """Return when everything is back."""
        async with asyncio.timeout(UP_SECONDS):
            while True:
                try:
                    await self._mend()
                    await asyncio.gather(*(server.ready() for server in self._servers))
                except PASSING:
                    await asyncio.sleep(0.2)
                else:
                    return


async def _within(seconds: float, over: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await over.wait()
    except TimeoutError:
        return False


def _postmaster(home: Home) -> int | None:
    found = postmaster(home)
    return found.pid if found else None


def _killed(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
