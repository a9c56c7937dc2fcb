"""What stands between a process of a sandbox and the machine, as data: the twin sends it with every process it starts.

There is one set, and nothing outside this program can choose another. The mounts are in `namespaces`, the shares of
memory, disk and processor in `shares`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.twins.e2b import seccomp
from server.twins.e2b.joining import CLONE_NEW

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = {"NPROC": 1024, "NOFILE": 16384, "FSIZE": 2 << 30, "CORE": 0}
"""Resource limits of every process. `NPROC` counts the whole sandbox's processes and threads, for the kernel counts
them per user and user namespace; the others are one process's."""

SYSCTLS = {"user/max_inotify_instances": 64, "user/max_inotify_watches": 100_000, "user/max_fanotify_groups": 0}
"""Of the sandbox's user namespace. Without, one could use up what its user may have on the whole machine."""


@dataclass(frozen=True)
class Walls:
    namespaces: tuple[str, ...] = tuple(CLONE_NEW)
    """The sandbox's namespaces a process joins."""
    capabilities: bool = False
    """Whether it keeps those that joining gave it."""
    no_new_privileges: bool = True
    filter: bytes = field(default_factory=seccomp.program)
    """The system calls it may make."""
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    sysctls: Mapping[str, int] = field(default_factory=lambda: SYSCTLS)

    def of_a_process(self) -> dict[str, Any]:
        return {
            "namespaces": [*self.namespaces],
            "capabilities": self.capabilities,
            "no_new_privileges": self.no_new_privileges,
            "filter": base64.b64encode(self.filter).decode(),
            "limits": dict(self.limits),
        }
