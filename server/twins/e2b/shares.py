"""How much of the machine one sandbox may have, and how that is held.

Memory and processor: a control group where we may make one, else a watch (`meter`). Processes: `NPROC`. Disk: the file
system's own quota where it keeps one per user, else the watch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shares:
    memory: int = 2 << 30
    """Bytes, with everything the kernel keeps for it. Vite takes 90 MB, a browser beside it 400."""
    disk: int = 4 << 30
    """Bytes of its own files; what it has of the template does not count."""
    files: int = 400_000
    """How many of them, folders included."""
    pause: float = 0.5
    """Seconds between two looks of the watch."""
