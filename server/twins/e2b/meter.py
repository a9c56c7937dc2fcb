"""Watches what sandboxes take of memory and disk where nothing holds them more firmly, and ends what takes too much.

It comes late by a moment, so a sandbox may go over its share for that long; a control group or a quota never lets it.
Looking is cheap when the machine's free memory and disk have not moved, and they are asked first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.errors import StackError
from server.twins.e2b import census, notices
from server.twins.e2b.errors import FileTrouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from server.twins.e2b.notices import Notices
    from server.twins.e2b.shares import Shares

log = logging.getLogger(__name__)

PAUSE = 0.25
AT_LEAST_EVERY = 20
"""Looks at the machine without one at the sandboxes."""

STEP = 64 << 20
"""Bytes the machine's free memory or disk may shrink by before the sandboxes are looked at."""

FILES_STEP = 5_000
WROTE = 1 << 20
"""Bytes that make a process one of those that filled the disk."""


@dataclass
class Watched:
    """One sandbox that is up."""

    keeper: int
    folder: Path
    notices: Notices
    memory: bool
    disk: bool
    end_all: Callable[[], Awaitable[None]]
    written: dict[int, int] = field(default_factory=dict[int, int])
    allowed: int = 0
    """Bytes it kept when it was last told: it may stay there, and not grow."""


class Meter:
    def __init__(self, folder: Path, shares: Shares, measure: Callable[[Path], Awaitable[list[int]]]) -> None:
        self._folder = folder
        self._shares = shares
        self._measure = measure
        self._watched: dict[str, Watched] = {}
        self._room = (0, 0, 0)
        self._idle = 0

    def add(self, name: str, watched: Watched) -> None:
        self._watched[name] = watched

    def drop(self, name: str) -> None:
        self._watched.pop(name, None)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if self._watched and self._has_moved():
                try:
                    await self._look()
                except Exception:  # the watch goes on
                    log.exception("the sandboxes could not be measured")

    def _has_moved(self) -> bool:
        disk = os.statvfs(self._folder)
        room = (census.free_memory(), disk.f_bavail * disk.f_frsize, disk.f_favail)
        steps = (min(STEP, self._shares.memory // 8), min(STEP, self._shares.disk // 8))
        limits = (*steps, min(FILES_STEP, self._shares.files // 8))
        shrunk = any(before - now > limit for before, now, limit in zip(self._room, room, limits, strict=True))
        self._idle += 1
        if shrunk or self._idle >= AT_LEAST_EVERY:
            self._room, self._idle = room, 0
            return True
        self._room = tuple(max(pair) for pair in zip(self._room, room, strict=True))  # type: ignore[assignment]
        return False

    async def _look(self) -> None:
        trees = await asyncio.to_thread(census.trees, [each.keeper for each in self._watched.values()])
        for watched in [*self._watched.values()]:
            tree = trees.get(watched.keeper, [])
            held = await asyncio.to_thread(census.held, tree)
            if watched.memory:
                await self._memory(watched, tree, held)
            if watched.disk:
                await self._disk(watched, tree, held.disk)

    async def _memory(self, watched: Watched, tree: list[census.Process], held: census.Held) -> None:
        if sum(each.resident for each in tree) + held.memory <= self._shares.memory:
            return  # even counting shared pages as often as they are shared
        sizes = await asyncio.to_thread(lambda: {each.pid: census.memory(each) for each in tree})
        if sum(sizes.values()) + held.memory > self._shares.memory:
            census.kill(max(tree, key=lambda each: sizes[each.pid] + held.by.get(each.pid, 0)))
            watched.notices.said.append(notices.memory(self._shares.memory))

    async def _disk(self, watched: Watched, tree: list[census.Process], beside: int) -> None:
        try:
            size, files = await self._measure(watched.folder)
        except (FileTrouble, StackError, OSError):
            size, files = self._shares.disk + watched.allowed + 1, 0  # it cannot even be counted
        size += beside
        written = {each.pid: census.written(each) for each in tree}
        before, watched.written = watched.written, written
        if size <= self._shares.disk and files <= self._shares.files:
            watched.allowed = 0
            return
        if size <= watched.allowed and files <= self._shares.files:
            return
        first, watched.allowed = watched.allowed == 0, size
        guilty = [each for each in tree if written[each.pid] - before.get(each.pid, 0) > WROTE]
        watched.notices.said.append(notices.disk(self._shares.disk, self._shares.files))
        if guilty and first:
            for each in guilty:
                census.kill(each)
        else:
            with contextlib.suppress(FileTrouble, StackError):
                await watched.end_all()
