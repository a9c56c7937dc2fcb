"""Images: a sandbox's files in an archive of ours, and a sandbox's folder out of one."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from server.errors import StackError
from server.twins.e2b.errors import FileTrouble

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from server.twins.e2b.machine import Machine
    from server.twins.e2b.machines import Machines

PACK_LIMIT = 300.0
"""Seconds for all files of one sandbox."""

SKIPPED = ["etc", "modules/work"]
"""What every sandbox gets anew."""


class Images:
    """The archives, one folder each: `home.tar` is the sandbox's folder, `tmp.tar` its `/tmp`, which is memory.

    They lie where no sandbox reaches. Packing and unpacking are done with a sandbox's rights, on open files.
    """

    def __init__(self, folder: Path, machines: Machines) -> None:
        self._folder = folder
        self._machines = machines

    def path(self, name: str) -> Path:
        return self._folder / name

    def exists(self, name: str) -> bool:
        return (self.path(name) / "home.tar").exists()

    def size(self, name: str) -> int:
        return sum(part.stat().st_size for part in self.path(name).glob("*.tar"))

    def remove(self, name: str) -> None:
        shutil.rmtree(self.path(name), ignore_errors=True)

    async def take(self, name: str, sandbox_id: str, machine: Machine | None) -> None:
        """Archive a sandbox's files. `machine` stands still meanwhile; `None` for one that is not up.

        Raises `StackError`.
        """
        making = self.path(f"{name}.new")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True, mode=0o700)
        try:
            await self._pack_home(making / "home.tar", sandbox_id)
            if machine is not None:
                await self.pack_tmp(making / "tmp.tar", machine)
        except (FileTrouble, StackError) as error:
            shutil.rmtree(making, ignore_errors=True)
            raise StackError(f"The sandbox's files could not be archived ({error}).") from error
        self.remove(name)
        making.rename(self.path(name))

    async def _pack_home(self, target: Path, sandbox_id: str) -> None:
        skip = [*SKIPPED, *self._machines.shared_modules()]
        with _writing(target) as opened:
            folder = str(self._machines.folder(sandbox_id))
            await self._machines.host(sandbox_id, "pack", given=[opened], seconds=PACK_LIMIT, path=folder, skip=skip)

    async def pack_tmp(self, target: Path, machine: Machine) -> None:
        with _writing(target) as opened:
            await machine.guest.call("pack", given=[opened], seconds=PACK_LIMIT, path="/tmp")

    async def lay_home(self, name: str, sandbox_id: str) -> None:
        """Put an image's files into a new sandbox's folder, which is laid out already but for them."""
        with _reading(self.path(name) / "home.tar") as opened:
            folder = str(self._machines.folder(sandbox_id))
            await self._machines.host(sandbox_id, "unpack", given=[opened], seconds=PACK_LIMIT, path=folder)

    async def lay_tmp(self, source: Path, machine: Machine) -> None:
        """Put what `/tmp` held back, if it is there, before anything runs."""
        with contextlib.suppress(FileTrouble, FileNotFoundError), _reading(source) as opened:
            await machine.guest.call("unpack", given=[opened], seconds=PACK_LIMIT, path="/tmp")


@contextlib.contextmanager
def _writing(path: Path) -> Generator[int]:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def _reading(path: Path) -> Generator[int]:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)
