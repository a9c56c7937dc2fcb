"""What a sandbox uses: its processes' time and memory as the kernel counts them, its files' place on disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.record import DISK_MB

if TYPE_CHECKING:
    from datetime import datetime

    from server.twins.core import Site
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.state import Sandboxes

PERIOD = 5.0
"""Seconds between two samples, as at E2B."""

KEPT = 720
DISK_EVERY = 12
"""The disk is walked with every so many samples: it changes slowly and is slow to measure."""

MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    at: datetime
    seconds: float
    """Processor time of all its processes together."""
    cpu_percent: float
    """Of all its processors, since the sample before."""
    memory: int
    cache: int
    disk: int
    processes: list[dict[str, Any]]

    def wire(self, cpus: int, memory_mb: int) -> dict[str, Any]:
        return {
            "timestamp": self.at.isoformat(),
            "timestampUnix": int(self.at.timestamp()),
            "cpuCount": cpus,
            "cpuUsedPct": round(self.cpu_percent, 2),
            "memUsed": self.memory,
            "memTotal": memory_mb * MIB,
            "memCache": self.cache,
            "diskUsed": self.disk,
            "diskTotal": DISK_MB * MIB,
        }


class Metrics:
    """The last hour of each sandbox that is up."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._samples: dict[str, deque[Sample]] = {}

    async def watch(self, sandboxes: Sandboxes) -> None:
        count = 0
        while True:
            await asyncio.sleep(PERIOD)
            count += 1
            for name in self._samples.keys() - {record.id for record in sandboxes.all()}:
                del self._samples[name]
            for machine in [*sandboxes.up.values()]:
                if machine.record.state == "running":
                    with contextlib.suppress(FileTrouble, StackError, OSError):  # it has just died, or is about to
                        await self.sample(sandboxes, machine, walk=count % DISK_EVERY == 0)

    async def now(self, sandboxes: Sandboxes, machine: Machine) -> Sample:
        """A fresh sample. Raises `StackError` or `FileTrouble` when the sandbox is going."""
        return await self.sample(sandboxes, machine, walk=True)

    async def sample(self, sandboxes: Sandboxes, machine: Machine, *, walk: bool) -> Sample:
        record = machine.record
        kept = self._samples.setdefault(record.id, deque(maxlen=KEPT))
        table, _ = await machine.guest.keeper.inside("processes", "process_table")
        disk = kept[-1].disk if kept else 0
        if walk or not kept:
            disk = await sandboxes.machines.host(
                record.id, "disk_used", folder=str(sandboxes.machines.folder(record.id))
            )
        at, use = self._site.clock(), sandboxes.machines.use(record.id)
        seconds = use.seconds if use is not None else None
        if seconds is None:
            seconds = sum(each["cpu"] for each in table["processes"])
        percent = 0.0
        if kept and (passed := (at - kept[-1].at).total_seconds()) > 0:
            # A process that ended took its share with it: what is left cannot have used less than nothing.
            percent = min(100.0, max(0.0, seconds - kept[-1].seconds) / passed / record.cpus * 100)
        memory = use.memory if use else sum(each["memory"] for each in table["processes"]) + table["tmp"]
        cache = use.cache if use else table["tmp"]
        sample = Sample(at, seconds, percent, memory, cache, disk + table["tmp"], table["processes"])
        kept.append(sample)
        return sample

    def between(self, sandbox_id: str, start: float | None, end: float | None) -> list[Sample]:
        """Those of a stretch of Unix time, oldest first."""
        return [
            sample
            for sample in self._samples.get(sandbox_id, ())
            if (start or 0) <= sample.at.timestamp() and (end is None or sample.at.timestamp() < end + 1)
        ]

    def latest(self, sandbox_id: str) -> Sample | None:
        kept = self._samples.get(sandbox_id)
        return kept[-1] if kept else None
