"""Watches what sandboxes take of memory and disk where nothing holds them more firmly, and ends what takes too much.

It comes late by a moment, so a sandbox may go over its share for that long; a control group or a quota never lets it.
Folders are only walked when the machine's free disk has shrunk, or after a while.
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

FILES_EVERY = 2
"""Looks at the processes' memory for one at the files they hold open."""

DISK_EVERY = 10
"""Looks for one at the folders, where the machine's disk has not moved."""

STEP = 64 << 20
"""Bytes the machine's free disk may shrink by before the sandboxes' folders are looked at."""

FILES_STEP = 5_000
WROTE = 1 << 20
"""Bytes that make a process one of those that filled the disk."""


END_LIMIT = 1.0
"""Seconds a killed process may take to be gone; one may be stuck in the kernel, waiting for a disk."""


@dataclass(frozen=True)
class Kept:
    """What a sandbox has on the disk: bytes, and files."""

    size: int
    files: int

    def more_than(self, other: Kept) -> bool:
        return self.size > other.size or self.files > other.files


@dataclass
class Watched:
    """One sandbox that is up."""

    keeper: int
    folder: Path
    notices: Notices
    memory: bool
    disk: bool
    end_all: Callable[[], Awaitable[None]]
    held: census.Held = field(default_factory=census.Held)
    written: dict[int, int] = field(default_factory=dict[int, int])
    allowed: Kept | None = None
    """What it kept when it was last told: it may stay there, and not grow."""


class Meter:
    def __init__(self, folder: Path, shares: Shares, measure: Callable[[Path], Awaitable[list[int]]]) -> None:
        self._folder = folder
        self._shares = shares
        self._measure = measure
        self._watched: dict[str, Watched] = {}
        self._room = (0, 0)
        self._looks = 0

    def add(self, name: str, watched: Watched) -> None:
        self._watched[name] = watched

    def drop(self, name: str) -> None:
        self._watched.pop(name, None)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._shares.pause)
            self._looks += 1
            try:
                if any(each.memory for each in self._watched.values()):
                    await self._look_at_memory()
                if any(each.disk for each in self._watched.values()) and self._disk_has_shrunk():
                    await self._look_at_disk()
            except Exception:  # the watch goes on
                log.exception("the sandboxes could not be measured")

    def _disk_has_shrunk(self) -> bool:
        disk = os.statvfs(self._folder)
        room = (disk.f_bavail * disk.f_frsize, disk.f_favail)
        limits = (min(STEP, self._shares.disk // 8), min(FILES_STEP, self._shares.files // 8))
        shrunk = any(before - now > limit for before, now, limit in zip(self._room, room, limits, strict=True))
        if shrunk or self._looks % DISK_EVERY == 0:
            self._room = room
            return True
        self._room = (max(self._room[0], room[0]), max(self._room[1], room[1]))
        return False

    async def _trees(self) -> list[tuple[Watched, list[census.Process]]]:
        found = await asyncio.to_thread(census.trees, [each.keeper for each in self._watched.values()])
        return [(each, found.get(each.keeper, [])) for each in self._watched.values()]

    async def _look_at_memory(self) -> None:
        for watched, tree in await self._trees():
            if self._looks % FILES_EVERY == 0:
                watched.held = await asyncio.to_thread(census.held, tree)
            await self._memory(watched, tree)

    async def _look_at_disk(self) -> None:
        for watched, tree in await self._trees():
            if watched.disk:
                held = await asyncio.to_thread(census.held, tree)
                await self._disk(watched, tree, held.disk)

    async def _memory(self, watched: Watched, tree: list[census.Process]) -> None:
        held = watched.held
        if sum(each.resident for each in tree) + held.memory <= self._shares.memory:
            return  # even counting shared pages as often as they are shared
        sizes = await asyncio.to_thread(lambda: {each.pid: census.memory(each) for each in tree})
        if sum(sizes.values()) + held.memory > self._shares.memory:
            census.kill(max(tree, key=lambda each: sizes[each.pid] + held.by.get(each.pid, 0)))
            watched.held = census.Held()  # of what it held nothing may be left
            watched.notices.said.append(notices.memory(self._shares.memory))

    async def _disk(self, watched: Watched, tree: list[census.Process], beside: int) -> None:
        limit = Kept(self._shares.disk, self._shares.files)
        kept = await self._kept(watched, beside)
        written = {each.pid: census.written(each) for each in tree}
        before, watched.written = watched.written, written
        if kept is not None and not kept.more_than(limit):
            watched.allowed = None
            return
        first = watched.allowed is None
        if kept is not None and not kept.more_than(watched.allowed or limit):
            return
        guilty = [each for each in tree if written[each.pid] - before.get(each.pid, 0) > WROTE]
        watched.notices.said.append(notices.disk(self._shares.disk, self._shares.files))
        if guilty and first:
            await asyncio.to_thread(census.end, guilty, END_LIMIT)
        else:
            with contextlib.suppress(FileTrouble, StackError):
                await watched.end_all()
        # What they wrote between the look and their end is there, and nobody's growth: whoever makes room may go on.
        left = await self._kept(watched, beside)
        watched.allowed = limit if left is None else Kept(left.size + WROTE, left.files)

    async def _kept(self, watched: Watched, beside: int) -> Kept | None:
        """None where it cannot even be counted, which is too much."""
        try:
            size, files = await self._measure(watched.folder)
        except (FileTrouble, StackError, OSError):
            return None
        return Kept(size + beside, files)
