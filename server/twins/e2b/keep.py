"""The twin's state as a whole: put aside with every sandbox's files, brought back, emptied."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING

from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.images import Images
from server.twins.e2b.running import kept

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.e2b.builds import Builder
    from server.twins.e2b.state import Sandboxes
    from server.twins.e2b.uploads import Uploads


class Kept:
    """Processes and memory are not put aside: a sandbox that comes back starts as after a restart."""

    def __init__(self, sandboxes: Sandboxes, builder: Builder, uploads: Uploads) -> None:
        self._sandboxes = sandboxes
        self._builder = builder
        self._uploads = uploads

    async def save(self, folder: Path) -> None:
        sandboxes = self._sandboxes
        archives = Images(folder / "sandboxes", sandboxes.machines)
        for record in sandboxes.all():
            async with sandboxes.lock(record.id):
                machine = sandboxes.up.get(record.id)
                try:
                    if machine is not None:
                        await machine.freeze()
                    await archives.take(record.id, record.id, machine)
                finally:
                    if machine is not None and machine.record.state == "running":
                        await machine.thaw()
        await asyncio.to_thread(sandboxes.records.save, folder / "records.sqlite")
        for source, name in self._folders():
            if source.exists():
                await asyncio.to_thread(shutil.copytree, source, folder / name)

    async def load(self, folder: Path) -> None:
        sandboxes = self._sandboxes
        archives = Images(folder / "sandboxes", sandboxes.machines)
        for target, name in self._folders():
            if (folder / name).exists():
                await asyncio.to_thread(shutil.copytree, folder / name, target, dirs_exist_ok=True)
        await asyncio.to_thread(sandboxes.records.load, folder / "records.sqlite")
        for record in sandboxes.all():
            await sandboxes.machines.make(record.id, bare=True)
            await archives.lay_home(record.id, record.id)
            if (held := archives.path(record.id) / "tmp.tar").exists():
                place = sandboxes.images.path(kept(record.id))
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                shutil.copy2(held, place / "tmp.tar")

    async def clear(self) -> None:
        """Every sandbox is killed, every build ended, every template but the prepared one forgotten."""
        sandboxes = self._sandboxes
        await self._builder.stop()
        for record in sandboxes.all():
            await sandboxes.kill(record.id)
        with contextlib.suppress(FileTrouble):
            await sandboxes.machines.settled()
        sandboxes.records.clear()
        for folder, _ in self._folders():
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _folders(self) -> list[tuple[Path, str]]:
        return [(self._sandboxes.images.path("."), "images"), (self._uploads.folder, "uploads")]
