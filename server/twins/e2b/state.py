"""Sandboxes as E2B keeps them: made, connected to, paused, resumed, killed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.core import ids
from server.twins.e2b import command
from server.twins.e2b.errors import FileTrouble, NoSandbox, missing, wire
from server.twins.e2b.idempotency import Keys
from server.twins.e2b.images import Images
from server.twins.e2b.logs import Log
from server.twins.e2b.record import Record
from server.twins.e2b.templates import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.core import Records, Site
    from server.twins.e2b.limits import Quota
    from server.twins.e2b.machine import Machine, Machines

READY_LIMIT = 30.0
"""Seconds a create waits for its template's start command."""

SHORTEST_WAKE = 300
"""Seconds a sandbox that traffic woke has at least."""


class Sandboxes:
    """Every sandbox of this twin. A record may be running with nothing up: it comes up when first used."""

    def __init__(self, site: Site, records: Records, machines: Machines, quota: Quota) -> None:
        self.site = site
        self.records = records
        self.machines = machines
        self.images = Images(site.data / "images", machines)
        self.catalog = Catalog(site, records)
        self.quota = quota
        self.up: dict[str, Machine] = {}
        self._keys = Keys(records)
        self._logs: dict[str, Log] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    # What there is

    def get(self, sandbox_id: str) -> Record:
        """Raises 404."""
        doc = self.records.get("sandbox", sandbox_id)
        if doc is None:
            raise missing(sandbox_id)
        return Record.of(doc)

    def all(self) -> list[Record]:
        return [Record.of(doc) for doc in self.records.all("sandbox")]

    def running(self) -> int:
        return sum(record.state == "running" for record in self.all())

    def token(self, sandbox_id: str) -> str:
        """Its envd's token; empty for one that asked for none. Raises `NoSandbox`."""
        doc = self.records.get("sandbox", sandbox_id)
        if doc is None:
            raise NoSandbox(sandbox_id)
        return doc["token"]

    def opens(self, sandbox_id: str, token: str) -> bool:
        """Whether the token is this sandbox's own. Raises `NoSandbox`."""
        secret = self.token(sandbox_id)
        return not secret or compare_digest(secret.encode(), token.encode())

    def whose(self, signed: Callable[[str], bool]) -> str:
        """The sandbox with whose token something is signed; empty where there is none."""
        return next((record.id for record in self.all() if record.token and signed(record.token)), "")

    def is_running(self, sandbox_id: str) -> bool:
        doc = self.records.get("sandbox", sandbox_id)
        return doc is not None and doc["state"] == "running"

    def log(self, sandbox_id: str) -> Log:
        return self._logs.setdefault(sandbox_id, Log())

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
                await self._resume(record, max(record.timeout, SHORTEST_WAKE))
            return await self._bring_up(record)

    # What happens to one

    async def create(self, asked: dict[str, Any], key: str | None = None) -> Record:
        """Make one, or find the one this idempotency key has made. Answers before the prepared image's app does, and
        once the start command of a built template is ready."""
        if key is not None and (made := self._keys.known(key, asked)) is not None:
            return self.get(made)
        template, build = self.catalog.origin(asked["templateID"])
        self.quota.creation(self.running())
        now = self.site.clock()
        network: dict[str, Any] = asked.get("network") or {}
        record = Record(
            id="i" + ids.lower(19),
            token=ids.token("", 40) if asked.get("secure", True) else "",
            template=template.id,
            alias=template.names[0] if template.names else "",
            started=now.isoformat(),
            end=(now + timedelta(seconds=asked["timeout"])).isoformat(),
            timeout=asked["timeout"],
            on_timeout="pause" if asked.get("autoPause") else "kill",
            pause_memory=asked.get("autoPauseMemory", True),
            auto_resume=bool(asked.get("autoResume")),
            metadata=asked.get("metadata") or {},
            envs=asked.get("envVars") or {},
            network=network,
            internet=asked.get("allow_internet_access"),
            traffic_token=ids.token("", 40) if network.get("allowPublicTraffic") is False else "",
        )
        if build is not None:
            record.build, record.cpus, record.memory_mb = build.id, build.cpus, build.memory_mb
            record.workdir, record.start, record.start_envs = build.workdir, build.start, build.start_envs
            record.ready = build.ready
        with self._keys.using(key, asked, record.id):
            await self.make(record, record.build)
        self.catalog.spawned(template)
        return record

    async def make(self, record: Record, image: str = "") -> None:
        """Bring a new record's sandbox into being, from an image or from the prepared template. Raises `StackError`."""
        async with self.lock(record.id):
            # The record first: a folder without one would be nobody's.
            self.save(record)
            try:
                await self.machines.make(record.id, bare=bool(image))
                if image:
                    await self.images.lay_home(image, record.id)
                machine = await self._bring_up(record, image)
            except BaseException as error:
                self.records.delete("sandbox", record.id)
                await self._take_down(record.id)
                await self.machines.remove(record.id)
                if isinstance(error, FileTrouble):
                    raise StackError(f"A sandbox could not be made from its image ({error.name}).") from error
                raise
        self.log(record.id).add("info", "Sandbox created", template=record.alias or record.template)
        if record.ready:
            envs = record.start_envs
            if not await command.until_ready(machine, record.ready, cwd=record.workdir, envs=envs, seconds=READY_LIMIT):
                self.log(record.id).add("warn", "The start command is not ready yet")

    async def connect(self, sandbox_id: str, seconds: int, *, reboot: bool = False) -> tuple[Record, bool]:
        """Resume it, or give it more time if it runs; whether it was resumed. `reboot`: without its memory."""
        async with self.lock(sandbox_id):
            record = self.get(sandbox_id)
            resumed = record.state != "running"
            if resumed:
                if reboot and (machine := self.up.get(sandbox_id)) is not None:
                    await self._put_away(machine)
                await self._resume(record, seconds)
            else:
                record.end = max(record.end, self._in(seconds))
                self.save(record)
            await self._bring_up(record)
            return record, resumed

    async def pause(self, sandbox_id: str, *, memory: bool = True) -> None:
        async with self.lock(sandbox_id):
            record = self.get(sandbox_id)
            if record.state != "running":
                raise wire(409, f'Sandbox "{sandbox_id}" is already paused')
            await self.pause_now(record, memory=memory)

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
            await self._take_down(record.id)
            return
        if not memory:
            await self._put_away(machine)

    async def kill(self, sandbox_id: str) -> None:
        """Every process at once, then the record; the folder goes in the background."""
        async with self.lock(sandbox_id):
            self.get(sandbox_id)
            self.records.delete("sandbox", sandbox_id)
            await self._take_down(sandbox_id)
            self.images.remove(_kept(sandbox_id))
            await self.machines.remove(sandbox_id)
        self._locks.pop(sandbox_id, None)
        self._logs.pop(sandbox_id, None)

    def set_timeout(self, sandbox_id: str, seconds: int) -> None:
        record = self.get(sandbox_id)
        if record.state != "running":
            raise missing(sandbox_id)
        record.end = self._in(min(seconds, self.quota.plan.hours * 3600))
        self.save(record)

    async def set_network(self, sandbox_id: str, network: dict[str, Any], *, internet: bool | None) -> None:
        """Replace what may be reached; who may come in stays as it was."""
        record = self.get(sandbox_id)
        if record.state != "running":
            raise wire(409, f'Sandbox "{sandbox_id}" is not running')
        inward = ("allowPublicTraffic", "maskRequestHost", "httpsPorts")
        record.network = {**network, **{name: record.network[name] for name in inward if name in record.network}}
        record.internet = internet
        self.save(record)
        if (machine := self.up.get(sandbox_id)) is not None:
            machine.record.network, machine.record.internet = record.network, record.internet
            await self.machines.repolicy(machine)

    # Its parts

    async def _put_away(self, machine: Machine) -> None:
        """Stop one that stands still; what it held in `/tmp` is kept for its next start."""
        name = machine.record.id
        folder = self.images.path(_kept(name))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileTrouble, StackError):
            await self.images.pack_tmp(folder / "tmp.tar", machine)
        await self._take_down(name)

    async def _resume(self, record: Record, seconds: int) -> None:
        record.state = "running"
        record.started, record.end = self.site.clock().isoformat(), self._in(seconds)
        self.save(record)
        self.log(record.id).add("info", "Sandbox resumed")
        if (machine := self.up.get(record.id)) is not None:
            machine.record.state = "running"
            machine.record.started, machine.record.end = record.started, record.end
            await machine.thaw()

    async def _bring_up(self, record: Record, image: str = "") -> Machine:
        machine = self.up.get(record.id)
        if machine is None:
            held = self.images.path(image or _kept(record.id)) / "tmp.tar"
            machine = await self.machines.start(record, lambda made: self.images.lay_tmp(held, made))
            self.up[record.id] = machine
            machine.processes.log = machine.processes.log.join(self.log(record.id))
            self.images.remove(_kept(record.id))
            self.save(record)  # it has its ports now
        return machine

    async def _take_down(self, sandbox_id: str) -> None:
        if (machine := self.up.pop(sandbox_id, None)) is not None:
            await machine.stop()

    async def take_all_down(self) -> None:
        """Their files and records stay."""
        for sandbox_id in [*self.up]:
            await self._take_down(sandbox_id)

    def gone(self, sandbox_id: str) -> None:
        """Its processes died under it, or all did (no id): the next use brings it up again."""
        for name in [sandbox_id] if sandbox_id else [*self.up]:
            if (machine := self.up.pop(name, None)) is not None:
                machine.abandon()

    def save(self, record: Record) -> None:
        self.records.put("sandbox", record.id, asdict(record))

    def expired(self, record: Record) -> bool:
        return record.state == "running" and datetime.fromisoformat(record.end) <= self.site.clock()

    def _in(self, seconds: int) -> str:
        return (self.site.clock() + timedelta(seconds=seconds)).isoformat()

    def lock(self, sandbox_id: str) -> asyncio.Lock:
        return self._locks.setdefault(sandbox_id, asyncio.Lock())


def _kept(sandbox_id: str) -> str:
    """The image that holds what was in a stopped sandbox's `/tmp`."""
    return f"tmp-{sandbox_id}"
