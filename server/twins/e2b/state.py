"""Sandboxes as E2B keeps them: made, connected to, paused, resumed, killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.core import ids
from server.twins.e2b import command
from server.twins.e2b.errors import FileTrouble, missing, wire
from server.twins.e2b.idempotency import Keys
from server.twins.e2b.record import Record
from server.twins.e2b.running import Running, kept
from server.twins.e2b.templates import Catalog

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.e2b.limits import Limits
    from server.twins.e2b.machines import Machines

READY_LIMIT = 30.0
"""Seconds a create waits for its template's start command."""


class Sandboxes(Running):
    """Every sandbox of this twin, and what the API can do to one."""

    def __init__(self, site: Site, records: Records, machines: Machines, limits: Limits) -> None:
        super().__init__(site, records, machines)
        self.catalog = Catalog(site, records)
        self.limits = limits
        self._keys = Keys(records)

    async def create(self, asked: dict[str, Any], key: str | None = None) -> Record:
        """Make one, or find the one this idempotency key has made. Answers before the prepared image's app does, and
        once the start command of a built template is ready."""
        if key is not None and (made := self._keys.known(key, asked)) is not None:
            return self.get(made)
        template, build = self.catalog.origin(asked["templateID"])
        self.limits.creation(self.running())
        now = self.site.clock()
        network: dict[str, Any] = asked.get("network") or {}
        record = Record(
            id="i" + ids.lower(19),
            token=ids.token("", 40) if asked.get("secure", True) else "",
            template=template.id,
            alias=template.names[0] if template.names else "",
            started=now.isoformat(),
            end=self.after(asked["timeout"]),
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
            # The record first: a folder without one would be nobody's. One that is found so was never finished.
            record.state = "making"
            self.save(record)
            try:
                await self.machines.make(record.id, bare=bool(image))
                if image:
                    await self.images.lay_home(image, record.id)
                record.state = "running"
                machine = await self.bring_up(record, image)
            except BaseException as error:
                self.forget(record.id)
                await self.take_down(record.id)
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
                    await self.put_away(machine)
                await self.resume(record, seconds)
            else:
                record.end = max(record.end, self.after(seconds))
                self.save(record)
            await self.bring_up(record)
            return record, resumed

    async def pause(self, sandbox_id: str, *, memory: bool = True) -> None:
        async with self.lock(sandbox_id):
            record = self.get(sandbox_id)
            if record.state != "running":
                raise wire(409, f'Sandbox "{sandbox_id}" is already paused')
            await self.pause_now(record, memory=memory)

    async def kill(self, sandbox_id: str) -> None:
        """Every process at once, then the record; the folder goes in the background."""
        async with self.lock(sandbox_id):
            self.get(sandbox_id)
            self.forget(sandbox_id)
            await self.take_down(sandbox_id)
            self.images.remove(kept(sandbox_id))
            await self.machines.remove(sandbox_id)
        self.unlock(sandbox_id)

    def set_timeout(self, sandbox_id: str, seconds: int) -> None:
        record = self.get(sandbox_id)
        if record.state != "running":
            raise missing(sandbox_id)
        record.end = self.after(min(seconds, self.limits.plan.hours * 3600))
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
