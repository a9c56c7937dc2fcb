"""What a control group has counted of its sandbox, where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.e2b.cgroups import Group


@dataclass(frozen=True)
class Use:
    memory: int
    """Bytes its processes hold, and what lies in `/tmp`; without what the kernel merely keeps of files."""
    cache: int
    seconds: float | None
    """Processor time of all processes there ever were; `None` where the kernel does not count it here (version 1)."""


def counted(group: Group) -> Use:
    """Raises `OSError` when the group is gone."""
    told = _numbers(group.folders[0] / "memory.stat")
    if group.unified:
        seconds = _numbers(group.folders[0] / "cpu.stat").get("usage_usec", 0) / 1e6
        return Use(told.get("anon", 0) + told.get("shmem", 0), told.get("file", 0), seconds)
    return Use(told.get("total_rss", 0) + told.get("total_shmem", 0), told.get("total_cache", 0), None)


def _numbers(path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            found[name] = int(value)
    return found
