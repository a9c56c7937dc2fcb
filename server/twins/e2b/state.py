"""Sandboxes as E2B keeps them: records that last, and their life: made, paused, resumed, timed out, killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.core import ids
from server.twins.e2b.errors import NoSandbox, wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from server.twins.core import Records, Site
    from server.twins.e2b.machine import Machine, Machines

log = logging.getLogger(__name__)

LONGEST = 24 * 3600
"""Seconds a sandbox may be given between two resumes (E2B's Pro limit)."""

TICK = 0.25


@dataclass
class Record:
    """What is stored of one sandbox."""

    id: str
    token: str
    """What its envd takes in `X-Access-Token`."""
    template: str
    started: str
    end: str
    state: str = "running"
    on_timeout: str = "kill"
    auto_resume: bool = False
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    envs: dict[str, str] = field(default_factory=dict[str, str])
    network: dict[str, Any] = field(default_factory=dict[str, Any])
    door: int = 0
    """The host port of its plain door; kept over restarts."""
    port: int = 0
    """The host port its app listens on, in the weak tier."""

    def hosts_out(self) -> list[str]:
        """The hosts its create request lets it reach."""
        hosts: list[Any] = self.network.get("allowOut") or []
        return [str(host) for host in hosts]


class Sandboxes:
    """Every sandbox of this twin. A record may be running with nothing up: it comes up when first used."""

    def __init__(self, site: Site, records: Records, machines: Machines) -> None:
        self._site = site
        self._records = records
        self._machines = machines
        self._up: dict[str, Machine] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._creating: dict[str, asyncio.Lock] = {}

    # What there is

    def get(self, sandbox_id: str) -> Record:
        doc = self._records.get("sandbox", sandbox_id)
        if doc is None:
            raise wire(404, f"sandbox \"{sandbox_id}\" doesn't exist or you don't have access to it")
        return Record(**doc)

    def all(self) -> list[Record]:
        return [Record(**doc) for doc in self._records.all("sandbox")]

    def opens(self, sandbox_id: str, token: str) -> bool:
        """Whether the token is this sandbox's own. Raises `NoSandbox`."""
        doc = self._records.get("sandbox", sandbox_id)
        if doc is None:
            raise NoSandbox(sandbox_id)
        return compare_digest(doc["token"].encode(), token.encode())

    def is_running(self, sandbox_id: str) -> bool:
        doc = self._records.get("sandbox", sandbox_id)
        return doc is not None and doc["state"] == "running"

    async def machine(self, sandbox_id: str) -> Machine:
        """A running sandbox, brought up from disk if it has to be. Raises `NoSandbox` for any other."""
        if (up := self._up.get(sandbox_id)) is not None and up.record.state == "running":
            return up
        async with self._lock(sandbox_id):
            doc = self._records.get("sandbox", sandbox_id)
            if doc is None:
                raise NoSandbox(sandbox_id)
            record = Record(**doc)
            if record.state != "running":
                if not record.auto_resume:
                    raise NoSandbox(sandbox_id)
                await self._resume(record, LONGEST)
            return await self._bring_up(record)

    # What happens to one

    async def create(self, asked: dict[str, Any], key: str | None) -> Record:
        """Make one, or find the one this idempotency key has made. Answers before its app does."""
        fingerprint = sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        if key is None:
            return await self._create(asked)
        async with self._creating.setdefault(key, asyncio.Lock()):
            known = self._records.get("key", key)
            if known is not None and self._records.get("sandbox", known["sandbox"]) is not None:
                if known["fingerprint"] != fingerprint:
                    message = "this idempotency key was used with another request"
                    raise wire(409, message, "idempotency_request_mismatch")
                return self.get(known["sandbox"])
            record = await self._create(asked)
            self._records.put("key", key, {"sandbox": record.id, "fingerprint": fingerprint})
            return record

    async def _create(self, asked: dict[str, Any]) -> Record:
        now = self._site.clock()
        record = Record(
            id=ids.lower(20),
            token=ids.token("", 40),
            template=asked["templateID"],
            started=now.isoformat(),
            end=(now + timedelta(seconds=asked["timeout"])).isoformat(),
            on_timeout="pause" if asked.get("autoPause") else "kill",
            auto_resume=bool(asked.get("autoResume")),
            metadata=asked.get("metadata") or {},
            envs=asked.get("envVars") or {},
            network=asked.get("network") or {},
        )
        async with self._lock(record.id):
            # The record first: a folder without one would be nobody's.
            self._save(record)
            try:
                await self._machines.make(record.id)
                await self._bring_up(record)
            except BaseException:
                self._records.delete("sandbox", record.id)
                await self._machines.remove(record.id)
                raise
        return record

    async def connect(self, sandbox_id: str, seconds: int) -> tuple[Record, bool]:
        """Resume it, or give it more time if it runs; whether it was resumed."""
        async with self._lock(sandbox_id):
            record = self.get(sandbox_id)
            resumed = record.state != "running"
            if resumed:
                await self._resume(record, seconds)
            else:
                record.end = max(record.end, self._in(seconds))
                self._save(record)
            await self._bring_up(record)
            return record, resumed

    async def pause(self, sandbox_id: str) -> None:
        async with self._lock(sandbox_id):
            record = self.get(sandbox_id)
            if record.state != "running":
                raise wire(409, f'sandbox "{sandbox_id}" is already paused')
            await self._pause(record)

    async def kill(self, sandbox_id: str) -> None:
        """Every process at once, then the record; the folder goes in the background."""
        async with self._lock(sandbox_id):
            self.get(sandbox_id)
            self._records.delete("sandbox", sandbox_id)
            await self._take_down(sandbox_id)
            await self._machines.remove(sandbox_id)
        self._locks.pop(sandbox_id, None)

    def set_timeout(self, sandbox_id: str, seconds: int) -> None:
        record = self.get(sandbox_id)
        if record.state != "running":
            raise wire(404, f'sandbox "{sandbox_id}" is not running')
        record.end = self._in(seconds)
        self._save(record)

    # Its life

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        """Sandboxes end when their time is over, until this block ends; then all go down and their files stay."""
        async with self._machines.running(self._gone):
            clock = asyncio.create_task(self._watch_the_clock())
            try:
                yield
            finally:
                clock.cancel()
                for sandbox_id in [*self._up]:
                    await self._take_down(sandbox_id)

    async def _watch_the_clock(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self._site.clock()
            for record in self.all():
                if record.state == "running" and datetime.fromisoformat(record.end) <= now:
                    try:
                        await self._time_out(record.id)
                    except Exception:  # the next sandbox's time must still run out
                        log.exception("sandbox %s did not end in time", record.id)

    async def _time_out(self, sandbox_id: str) -> None:
        record = self.get(sandbox_id)
        if record.on_timeout == "kill":
            await self.kill(sandbox_id)
            return
        async with self._lock(sandbox_id):
            record = self.get(sandbox_id)
            if record.state == "running" and datetime.fromisoformat(record.end) <= self._site.clock():
                await self._pause(record)

    async def _pause(self, record: Record) -> None:
        record.state = "paused"
        self._save(record)
        if (machine := self._up.get(record.id)) is not None:
            machine.record.state = "paused"
            try:
                await machine.freeze()
            except (StackError, OSError):  # it will not hold still: stop it, its files are safe
                await self._take_down(record.id)

    async def _resume(self, record: Record, seconds: int) -> None:
        record.state = "running"
        record.started, record.end = self._site.clock().isoformat(), self._in(seconds)
        self._save(record)
        if (machine := self._up.get(record.id)) is not None:
            machine.record.state = "running"
            await machine.thaw()

    async def _bring_up(self, record: Record) -> Machine:
        machine = self._up.get(record.id)
        if machine is None:
            machine = self._up[record.id] = await self._machines.start(record)
            self._save(record)  # it has its ports now
        return machine

    async def _take_down(self, sandbox_id: str) -> None:
        if (machine := self._up.pop(sandbox_id, None)) is not None:
            await machine.stop()

    def _gone(self, sandbox_id: str) -> None:
        """Its processes died under it, or all did (no id): the next use brings it up again."""
        for name in [sandbox_id] if sandbox_id else [*self._up]:
            if (machine := self._up.pop(name, None)) is not None:
                machine.abandon()

    def _save(self, record: Record) -> None:
        self._records.put("sandbox", record.id, asdict(record))

    def _in(self, seconds: int) -> str:
        return (self._site.clock() + timedelta(seconds=seconds)).isoformat()

    def _lock(self, sandbox_id: str) -> asyncio.Lock:
        return self._locks.setdefault(sandbox_id, asyncio.Lock())
