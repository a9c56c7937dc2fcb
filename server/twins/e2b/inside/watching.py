"""Watching folders with inotify: the watches are set where the sandbox's paths mean something, and the open file that
tells of events is handed out, so no process of ours stays inside."""

# ruff: noqa: PTH112, PTH114, PTH118, PTH208 - bare names keep what every child of the supervisor carries light

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from typing import TYPE_CHECKING

from server.twins.e2b.inside.jail import place

if TYPE_CHECKING:
    from server.twins.e2b.inside.jail import Answer, Jail

MODIFY, ATTRIB, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF, Q_OVERFLOW, ISDIR = 0x400, 0x800, 0x4000, 0x40000000
MASK = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
FOLDERS_LIMIT = 20_000
"""How many folders one recursive watch covers at most."""

_libc = ctypes.CDLL(None, use_errno=True)


def watch(jail: Jail, path: str, recursive: bool) -> Answer:
    """Begin to watch a folder: each watch's number with its folder (relative to `path`), and the file of events."""
    here = place(jail, path)
    if not os.path.isdir(here):
        raise OSError(errno.ENOTDIR if os.path.lexists(here) else errno.ENOENT, "not a folder", path)
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "this system has no inotify")
    opened = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if opened < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    return [[_add(opened, here), ""], *(_below(opened, here, "")[0] if recursive else ())], [opened]


def watch_more(jail: Jail, path: str, folder: str, given: list[int]) -> Answer:
    """Watch a new folder and all below it too, on the file `given`; and what was in it before it was watched."""
    here = place(jail, path)
    try:
        number = _add(given[0], os.path.join(here, folder))
    except OSError:  # gone again
        return {"watches": [], "found": []}, []
    watches, found = _below(given[0], here, folder)
    return {"watches": [[number, folder], *watches], "found": found}, []


def _add(opened: int, folder: str) -> int:
    number = _libc.inotify_add_watch(opened, os.fsencode(folder), ctypes.c_uint32(MASK))
    if number < 0:
        raise OSError(ctypes.get_errno(), "inotify_add_watch", folder)
    return number


def _below(opened: int, root: str, folder: str) -> tuple[list[list[int | str]], list[str]]:
    """Watch every folder below one, links not followed; the watches, and all entries seen."""
    watches: list[list[int | str]] = []
    found: list[str] = []
    waiting = [folder]
    while waiting and len(watches) < FOLDERS_LIMIT:
        current = waiting.pop()
        with contextlib.suppress(OSError):  # gone since it was listed
            for name in sorted(os.listdir(os.path.join(root, current))):
                entry = os.path.join(current, name)
                found.append(entry)
                real = os.path.join(root, entry)
                if os.path.isdir(real) and not os.path.islink(real):
                    watches.append([_add(opened, real), entry])
                    waiting.append(entry)
    return watches, found
