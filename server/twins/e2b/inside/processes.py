"""The processes of a sandbox, as the kernel counts them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from server.twins.e2b.inside.jail import members

if TYPE_CHECKING:
    from server.twins.e2b.inside.jail import Answer, Jail

COMMAND_LIMIT = 400


def process_table(jail: Jail) -> Answer:
    """Every process of the sandbox: `cpu` in seconds with its ended children's, `memory` in bytes it does not share
    (shared pages divided by who shares them); and the bytes `/tmp` holds, which is memory too."""
    found: list[dict[str, Any]] = []
    for pid in members(jail):
        with contextlib.suppress(OSError, ValueError):  # gone since it was listed
            found.append(_one(pid))
    held = 0
    if not jail:
        status = os.statvfs("/tmp")
        held = (status.f_blocks - status.f_bfree) * status.f_frsize
    return {"processes": found, "tmp": held}, []


def _one(pid: int) -> dict[str, Any]:
    with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - a kernel file
        name, _, rest = stat.read().partition(b" (")[2].rpartition(b") ")
    words = rest.split()
    ticks = sum(int(word) for word in words[11:15])
    with open(f"/proc/{pid}/cmdline", "rb") as cmdline:  # noqa: PTH123
        command = cmdline.read(COMMAND_LIMIT).replace(b"\0", b" ").strip()
    return {
        "pid": pid,
        "parent": int(words[1]),
        "state": words[0].decode(),
        "command": (command or b"[" + name + b"]").decode(errors="replace"),
        "cpu": ticks / os.sysconf("SC_CLK_TCK"),
        "memory": _memory(pid, int(words[21])),
    }


def _memory(pid: int, resident: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:  # noqa: PTH123
            for line in rollup:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident * os.sysconf("SC_PAGE_SIZE")
