"""The sandboxes that are up: brought up from disk, frozen, put away, and found gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from server.errors import StackError
from server.twins.e2b.errors import FileTrouble, NoSandbox
from server.twins.e2b.images import Images
from server.twins.e2b.record import Record
from server.twins.e2b.register import Register

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.machines import Machines

SHORTEST_WAKE = 300
"""Seconds a sandbox that traffic woke has at least."""


class Running(Register):
    """A record may be running with nothing up: it comes up when first used."""

    def __init__(self, site: Site, records: Records, machines: Machines) -> None:
        super().__init__(site, records)
        self.machines = machines
        self.images = Images(site.data / "images", machines)
        self.up: dict[str, Machine] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def machine(self, sandbox_id: str) -> Machine:
        """A running sandbox, brought up from disk if it has to be. Raises `NoSandbox` for any other."""
        if (up := self.up.get(sandbox_id)) is not None and up.record.state == "running":
            return up
        async with self.lock(sandbox_id):
            doc = self.records.get("sandbox", sandbox_id)
            if doc is None:
                raise NoSandbox(sandbox_id)
            record = Record.of(doc)
            if record.state != "running":
                if not record.auto_resume or record.pause_mode == "filesystem":
                    raise NoSandbox(sandbox_id)
                await self.resume(record, max(record.timeout, SHORTEST_WAKE))
            return await self.bring_up(record)

    async def pause_now(self, record: Record, *, memory: bool) -> None:
        """Under the sandbox's lock."""
        record.state, record.pause_mode = "paused", "full" if memory else "filesystem"
        self.save(record)
        self.log(record.id).add("info", "Sandbox paused", mode=record.pause_mode)
        if (machine := self.up.get(record.id)) is None:
            return
        machine.record.state = "paused"
        try:
            await machine.freeze()
        except (StackError, OSError, FileTrouble):  # it will not hold still: stop it, its files are safe
            await self.take_down(record.id)
            return
        if not memory:
            await self.put_away(machine)

    async def put_away(self, machine: Machine) -> None:
        """Stop one that stands still; what it held in `/tmp` is kept for its next start."""
        name = machine.record.id
        folder = self.images.path(kept(name))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileTrouble, StackError):
            await self.images.pack_tmp(folder / "tmp.tar", machine)
        await self.take_down(name)

    async def resume(self, record: Record, seconds: int) -> None:
        record.state = "running"
        record.started, record.end = self.site.clock().isoformat(), self.after(seconds)
        self.save(record)
        self.log(record.id).add("info", "Sandbox resumed")
        if (machine := self.up.get(record.id)) is not None:
            machine.record.state = "running"
            machine.record.started, machine.record.end = record.started, record.end
            await machine.thaw()

    async def bring_up(self, record: Record, image: str = "") -> Machine:
        machine = self.up.get(record.id)
        if machine is None:
            held = self.images.path(image or kept(record.id)) / "tmp.tar"
            machine = await self.machines.start(record, lambda made: self.images.lay_tmp(held, made))
            self.up[record.id] = machine
            machine.processes.log = machine.processes.log.join(self.log(record.id))
            self.images.remove(kept(record.id))
            self.save(record)  # it has its ports now
        return machine

    async def take_down(self, sandbox_id: str) -> None:
        if (machine := self.up.pop(sandbox_id, None)) is not None:
            await machine.stop()

    async def sweep(self) -> None:
        """Remove what an earlier twin was making when it ended: nobody has heard of it."""
        for record in self.all():
            if record.state == "making":
                self.forget(record.id)
                await self.machines.remove(record.id)

    async def take_all_down(self) -> None:
        """Their files and records stay."""
        for sandbox_id in [*self.up]:
            await self.take_down(sandbox_id)

    def gone(self, sandbox_id: str) -> None:
        """Its processes died under it, or all did (no id): the next use brings it up again."""
        for name in [sandbox_id] if sandbox_id else [*self.up]:
            if (machine := self.up.pop(name, None)) is not None:
                machine.abandon()

    def lock(self, sandbox_id: str) -> asyncio.Lock:
        return self._locks.setdefault(sandbox_id, asyncio.Lock())

    def unlock(self, sandbox_id: str) -> None:
        """Forget the lock of a sandbox that is no more."""
        self._locks.pop(sandbox_id, None)


def kept(sandbox_id: str) -> str:
    """The image that holds what was in a stopped sandbox's `/tmp`."""
    return f"tmp-{sandbox_id}"
