"""The machine the figures hold for."""

from __future__ import annotations

import os
import platform
from typing import Any

import psutil

from server import __version__


def machine() -> dict[str, Any]:
    """What it is, and how busy others keep it: every figure is worth only as much as that."""
    one, five, fifteen = os.getloadavg()
    return {
        "mk0r": __version__,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": [round(load, 2) for load in (one, five, fifteen)],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def sentence(found: dict[str, Any]) -> str:
    load = ", ".join(f"{number:.2f}" for number in found["load"])
    return (
        f"{found['cores']} cores, {found['memory_gib']:g} GiB, {found['system']}, Python {found['python']}; "
        f"load before the first measurement {load} (1, 5, 15 minutes)."
    )
