"""Control groups: a hard limit on a sandbox's memory and a fair share of the processor, where Linux gives us any.

Root has them, under either version, and so has a user to whom systemd delegated a part of the tree. A process is
admitted by writing to a file we open for it, which its keeper does before it gives up anything else; whatever it starts
stays in. (Moving a process later costs the kernel 4 to 12 ms, which is why no command is ever moved.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PREFIX = "mk0r-"
TRIAL = "trial"
V1 = ("memory", "cpu")
FORSAKEN = 3600.0
"""Seconds after which a twin's empty groups are taken to be nobody's; one that is there would only make them again."""

LEAVING, PAUSE = 3.0, 0.01
"""Seconds a dead process may still count as one of its group, and between two looks."""


@dataclass(frozen=True)
class Group:
    """One sandbox's groups: one folder under version 2, one per controller under version 1."""

    folders: tuple[Path, ...]
    unified: bool

    def admission(self) -> list[int]:
        """Open files; a process that writes `0` to each is in. They keep the rights of who opened them: ours."""
        return [os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for folder in self.folders]

    def killed(self) -> int:
        """How many of its processes the kernel has ended for want of memory."""
        name = "memory.events" if self.unified else "memory.oom_control"
        for line in (self.folders[0] / name).read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0

    def remove(self) -> bool:
        """Whether it is gone; it cannot go while a process of it is still dying."""
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


class Groups:
    """The groups of one twin's sandboxes; `bases` are the folders that hold them."""

    def __init__(self, bases: tuple[Path, ...], *, unified: bool) -> None:
        self._bases = bases
        self._unified = unified
        self.made: dict[str, Group] = {}

    def make(self, name: str, memory: int) -> Group:
        """Raises `OSError`."""
        group = self.made[name] = Group(tuple(base / name for base in self._bases), self._unified)
        for folder in group.folders:
            folder.mkdir(exist_ok=True, parents=True)
        if self._unified:
            (group.folders[0] / "memory.max").write_text(str(memory))
            with contextlib.suppress(OSError):
                (group.folders[0] / "memory.swap.max").write_text("0")
            with contextlib.suppress(OSError):
                (group.folders[0] / "memory.oom.group").write_text("0")
        else:
            (group.folders[0] / "memory.limit_in_bytes").write_text(str(memory))
            with contextlib.suppress(OSError):
                (group.folders[0] / "memory.swappiness").write_text("0")
        return group

    async def remove(self, name: str) -> None:
        """Remove a dead sandbox's group: a moment after, for its last process leaves when it has been buried."""
        if (group := self.made.pop(name, None)) is not None:
            for _ in range(int(LEAVING / PAUSE)):
                if group.remove():
                    return
                await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Remove ours, and empty ones an earlier twin left behind when it was killed."""
        for name in [*self.made]:
            await self.remove(name)
        for base in self._bases:
            forsaken = [each for each in base.parent.glob(f"{PREFIX}*/") if each != base and _age(each) > FORSAKEN]
            for folder in (base, *forsaken):
                for found in (*folder.glob("*/"), folder):
                    with contextlib.suppress(OSError):  # one in use stays
                        found.rmdir()


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_ctime
    except OSError:
        return 0.0


def find(name: str) -> Groups | None:
    """Where we may make groups, found out by making one; `name` tells this twin's from another's."""
    try:
        mounts = _mounts(Path("/proc/self/mountinfo").read_text())
        own = _own(Path("/proc/self/cgroup").read_text())
    except (OSError, ValueError):
        return None
    for look in (_version2, _version1):
        groups = look(mounts, own, f"{PREFIX}{name}")
        if groups is not None and _works(groups):
            return groups
    return None


def _mounts(table: str) -> dict[str, Path]:
    """Where each controller of version 1 is mounted, by its name, and version 2 by none."""
    found: dict[str, Path] = {}
    for words in (line.split() for line in table.splitlines()):
        kind, place = words[words.index("-") + 1], Path(words[4])
        if kind == "cgroup2":
            found[""] = place
        elif kind == "cgroup":
            found |= dict.fromkeys(words[-1].split(","), place)
    return found


def _own(table: str) -> dict[str, str]:
    """The group this process is in, by controller."""
    found: dict[str, str] = {}
    for line in table.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    return found


def _version2(mounts: dict[str, Path], own: dict[str, str], name: str) -> Groups | None:
    """Above the group we are in, not below it: one that has processes of its own may not hand controllers down."""
    if (root := mounts.get("")) is None:
        return None
    here = root / own.get("", "")
    for base in (here, *here.parents):
        with contextlib.suppress(OSError):
            if "memory" in (base / "cgroup.subtree_control").read_text().split():
                (base / name).mkdir(exist_ok=True)
                (base / name / "cgroup.subtree_control").write_text("+memory")
                with contextlib.suppress(OSError):
                    (base / name / "cgroup.subtree_control").write_text("+cpu")
                return Groups((base / name,), unified=True)
        if base == root:
            break
    return None


def _version1(mounts: dict[str, Path], own: dict[str, str], name: str) -> Groups | None:
    bases = [mounts[kind] / own[kind] / name for kind in V1 if kind in mounts and kind in own]
    return Groups(tuple(bases), unified=False) if "memory" in mounts and "memory" in own else None


def _works(groups: Groups) -> bool:
    """Whether a group can be made and a process get in: who may write is not always who may enter."""
    trial = f"{TRIAL}-{os.getpid()}"  # another may be finding out at the same moment
    try:
        group = groups.make(trial, 64 << 20)
        groups.made.pop(trial)
        opened = group.admission()
    except OSError:
        return False
    try:
        for share in opened:
            subprocess.run(["/bin/echo", "0"], stdout=share, stderr=subprocess.DEVNULL, check=True, timeout=LEAVING)
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        for share in opened:
            os.close(share)
        end = time.monotonic() + LEAVING
        while not group.remove() and time.monotonic() < end:
            time.sleep(PAUSE)
    return True
