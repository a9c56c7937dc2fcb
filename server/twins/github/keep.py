"""The twin's state as a whole: its records, and the bare repositories beside them."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from server.twins.github.earlier import own_all

if TYPE_CHECKING:
    from pathlib import Path

    from server.local.identity import Identity
    from server.twins.github.state import Hub


class HubKeep:
    """The App's key is not part of it: like the operator's token, it outlives a reset."""

    def __init__(self, hub: Hub, identity: Identity) -> None:
        self._hub = hub
        self._identity = identity

    async def save(self, folder: Path) -> None:
        await self._hub.settle()
        self._hub.records.save(folder / "records.sqlite")
        await asyncio.to_thread(shutil.copytree, self._hub.repositories.folder, folder / "repositories", symlinks=True)

    async def load(self, folder: Path) -> None:
        self._hub.records.load(folder / "records.sqlite")
        await asyncio.to_thread(self._fetch, folder / "repositories")

    async def clear(self) -> None:
        await self._hub.settle()
        self._hub.records.clear()
        await asyncio.to_thread(self._empty)
        self._hub.begin()

    def _empty(self) -> None:
        for each in self._hub.repositories.folder.iterdir():
            shutil.rmtree(each, ignore_errors=True)

    def _fetch(self, source: Path) -> None:
        self._empty()
        target = self._hub.repositories.folder
        for each in source.iterdir():
            shutil.copytree(each, target / each.name, symlinks=True)
            own_all(self._identity, target / each.name)
