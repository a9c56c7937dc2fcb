"""Where a path of a sandbox really is, and which processes are its own, in the weak tier; elsewhere both are plain."""

from __future__ import annotations

import contextlib
import os
from typing import Any

Jail = dict[str, Any]
"""What `weak.jail` says of a sandbox; empty for one that has namespaces."""

Answer = tuple[Any, list[int]]
"""What a function returns: something JSON can say, and open files to send beside it."""

SWEEPS = 10


def place(jail: Jail, path: str) -> str:
    """Where a path of the sandbox really is: itself, except in the weak tier, which maps it to the session's folder."""
    for prefix, folder in jail.get("folders", ()):
        if path == prefix or path.startswith(prefix + "/"):
            return folder + path[len(prefix) :]
    return path


def signal_all(jail: Jail, number: int) -> Answer:
    """Signal every process of the sandbox in one sweep that no fork can slip through; not its process 1, nor us."""
    if jail:
        kill_jail(jail, number)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
    return None, []


def kill_jail(jail: Jail, number: int) -> None:
    """Signal the weak tier's processes of a sandbox: all that carry its mark, until a sweep finds no new one."""
    seen: set[int] = set()
    for _ in range(SWEEPS):
        found = [pid for pid in members(jail) if pid not in seen]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        seen.update(found)


def members(jail: Jail) -> list[int]:
    """The processes of the sandbox we are in, not counting ourselves."""
    mark = jail["mark"].encode() if jail else None
    return [
        int(name)
        for name in (os.listdir("/proc") if os.path.isdir("/proc") else ())  # noqa: PTH112, PTH208
        if name.isdigit() and int(name) != os.getpid() and (mark is None or _carries(name, mark))
    ]


def _carries(name: str, mark: bytes) -> bool:
    try:
        with open(f"/proc/{name}/environ", "rb") as environ:  # noqa: PTH123
            return mark in environ.read().split(b"\0")
    except OSError:
        return False
