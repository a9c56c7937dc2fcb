"""A twin's state as a whole: emptied, put aside under a name, and brought back."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
PATIENCE = 120.0
"""Seconds a request waits while the state is exchanged."""


class Keep(Protocol):
    """What a twin's state can do as a whole. While it runs, no request of the vendor's is let in."""

    async def save(self, folder: Path) -> None:
        """Write everything below `folder`, which is empty."""
        ...

    async def load(self, folder: Path) -> None:
        """Be as `save` found it."""
        ...

    async def clear(self) -> None:
        """Be as on the first day: only the operator's credential is known."""
        ...


class Snapshots:
    """The named copies of one twin's state, and the gate that is shut while one is made or brought back."""

    def __init__(self, keep: Keep, folder: Path) -> None:
        self._keep = keep
        self._folder = folder
        self._busy = asyncio.Lock()

    def list(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob("*") if NAME.fullmatch(path.name))

    async def take(self, name: str) -> None:
        """Raises `FileExistsError` where there is one of this name."""
        target = self._folder / name
        async with self._busy:
            if target.exists():
                raise FileExistsError(name)
            making = self._folder / f".{name}"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True)
            await self._keep.save(making)
            making.rename(target)

    async def restore(self, name: str) -> None:
        """Raises `FileNotFoundError` where there is none."""
        async with self._busy:
            if not (self._folder / name).is_dir():
                raise FileNotFoundError(name)
            await self._keep.clear()
            await self._keep.load(self._folder / name)

    async def reset(self) -> None:
        async with self._busy:
            await self._keep.clear()

    async def remove(self, name: str) -> bool:
        async with self._busy:
            found = (self._folder / name).is_dir()
            await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)
            return found

    async def opened(self) -> None:
        """Returns when no exchange is going on."""
        if self._busy.locked():
            async with asyncio.timeout(PATIENCE), self._busy:
                pass
