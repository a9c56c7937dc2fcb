"""The processes below a sandbox's keeper as the host's kernel counts them, and what they hold."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = os.sysconf("SC_PAGE_SIZE")
IN_MEMORY = ("tmp", "var/tmp", "dev/shm")


@dataclass(frozen=True)
class Process:
    pid: int
    started: int
    """In the kernel's ticks; with the number it is this process and no later one."""
    resident: int
    """Bytes, shared pages with those that share them."""


@dataclass(frozen=True)
class Held:
    """Bytes that no process's own memory and no folder shows: unlinked files, and file systems in memory."""

    memory: int = 0
    disk: int = 0
    by: dict[int, int] = field(default_factory=dict[int, int])
    """How much of the memory each process holds open."""


def trees(roots: Sequence[int]) -> dict[int, list[Process]]:
    """Everything below each of `roots`, which are not counted themselves."""
    children: dict[int, list[Process]] = defaultdict(list)
    for name in os.listdir("/proc"):  # noqa: PTH208 - a kernel folder
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parent, process = _read(int(name))
                children[parent].append(process)
    found: dict[int, list[Process]] = {}
    for root in roots:
        tree = [*children[root]]
        for each in tree:
            tree.extend(children[each.pid])
        found[root] = tree
    return found


def _read(pid: int) -> tuple[int, Process]:
    with open(f"/proc/{pid}/stat", "rb") as line:  # noqa: PTH123 - a kernel file
        words = line.read().rpartition(b") ")[2].split()
    return int(words[1]), Process(pid, int(words[19]), int(words[21]) * PAGE)


def memory(process: Process) -> int:
    """Bytes, shared pages divided by who shares them."""
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/smaps_rollup", "rb") as rollup:  # noqa: PTH123
        for line in rollup:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return process.resident


def written(process: Process) -> int:
    """Bytes it has sent towards the disk so far."""
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/io", "rb") as counted:  # noqa: PTH123
        for line in counted:
            if line.startswith(b"write_bytes:"):
                return int(line.split()[1])
    return 0


def held(tree: list[Process]) -> Held:
    """What `tree` holds of unlinked files, and what is in the sandbox's file systems in memory.

    A process may hide its files from another of its own user, which a twin that is not root is; then they are not seen.
    """
    in_memory, known = _file_systems(tree)
    probe = os.memfd_create("probe")
    nameless = os.fstat(probe).st_dev
    os.close(probe)
    seen: set[tuple[int, int]] = set()
    memory, disk, by = in_memory, 0, defaultdict[int, int](int)
    for process in tree:
        for status in _unlinked(process):
            size = status.st_blocks * 512
            if status.st_dev == nameless:
                by[process.pid] += size
            if (status.st_dev, status.st_ino) not in seen and status.st_dev not in known:
                memory += size if status.st_dev == nameless else 0
                disk += size if status.st_dev != nameless else 0
            seen.add((status.st_dev, status.st_ino))
    return Held(memory, disk, dict(by))


def _unlinked(process: Process) -> list[os.stat_result]:
    found: list[os.stat_result] = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{process.pid}/fd") as opened:
        for entry in opened:
            with contextlib.suppress(OSError):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                    found.append(status)
    return found


def _file_systems(tree: list[Process]) -> tuple[int, set[int]]:
    """How full the sandbox's file systems in memory are, and which they are."""
    for process in tree:
        root = f"/proc/{process.pid}/root"
        with contextlib.suppress(OSError):
            found = {os.stat(f"{root}/{place}").st_dev: os.statvfs(f"{root}/{place}") for place in IN_MEMORY}  # noqa: PTH116
            if os.stat(f"{root}/tmp").st_dev != os.stat("/tmp").st_dev:  # noqa: PTH116 - not bubblewrap, still outside
                return sum((each.f_blocks - each.f_bfree) * each.f_frsize for each in found.values()), {*found}
    return 0, set()


def kill(process: Process) -> None:
    """End it, and nothing that got its number since."""
    with contextlib.suppress(OSError, ValueError):
        handle = os.pidfd_open(process.pid)
        try:
            if _read(process.pid)[1].started == process.started:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def end(processes: Sequence[Process], seconds: float) -> None:
    """Kill them, and wait until they are gone, or that long: until then they may still write."""
    poll, handles = select.poll(), list[int]()
    for each in processes:
        with contextlib.suppress(OSError):
            handles.append(os.pidfd_open(each.pid))
            poll.register(handles[-1], select.POLLIN)
        kill(each)
    until = time.monotonic() + seconds
    waiting = len(handles)
    while waiting and (left := until - time.monotonic()) > 0:
        for handle, _ in poll.poll(left * 1000):
            poll.unregister(handle)
            waiting -= 1
    for handle in handles:
        os.close(handle)
