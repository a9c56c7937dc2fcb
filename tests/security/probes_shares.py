"""Attempts on what all sessions share: memory, disk, processes, the processor and the kernel's own tables."""

from __future__ import annotations

from tests.security import attempts_shares as attempts
from tests.security.lifting import (
    FEW_OPEN,
    FEW_PROCESSES,
    FEW_WATCHES,
    FILTER,
    FSIZE,
    GROUP,
    NOFILE,
    NPROC,
    OWN_USER,
    SIZES,
    SMALL_DISK,
    SMALL_FILES,
    SMALL_MEMORY,
    SMALL_SIZES,
    SYSCTLS,
    WATCH,
)
from tests.security.probe import Probe, root

LITTLE_DISK = (SMALL_DISK,)

PROBES = (
    Probe("take more memory", GROUP, attempts.MEMORY, "", (SMALL_MEMORY, WATCH), attempts.groups),
    Probe("take more memory without a control group", WATCH, attempts.MEMORY_KEPT, "", (SMALL_MEMORY, GROUP)),
    Probe("hide memory in files without a name", WATCH, attempts.NAMELESS, "", (SMALL_MEMORY, GROUP)),
    Probe("fill memory through /tmp", SIZES, attempts.filled("/tmp"), "", (SMALL_SIZES,)),
    Probe("fill memory through /var/tmp", SIZES, attempts.filled("/var/tmp"), "", (SMALL_SIZES,)),
    Probe("fill memory through /dev/shm", SIZES, attempts.filled("/dev/shm"), "", (SMALL_SIZES,)),
    Probe("have more processes", NPROC, attempts.MANY, "", (FEW_PROCESSES,)),
    Probe("have more threads", NPROC, attempts.THREADS, "", (FEW_PROCESSES,)),
    Probe("have more open files", NOFILE, attempts.OPEN, "", (FEW_OPEN,)),
    Probe("write a larger file", FSIZE, attempts.LARGE, "", (SMALL_FILES,)),
    Probe("claim a larger file", FSIZE, attempts.SPARSE, "", (SMALL_FILES,)),
    Probe("fill the disk", WATCH, attempts.DISK, "", LITTLE_DISK),
    Probe("fill the disk with removed but open files", WATCH, attempts.REMOVED, "", LITTLE_DISK),
    Probe("fill the disk under node_modules", WATCH, attempts.MODULES, "", LITTLE_DISK),
    Probe("fill the disk in one call", FILTER, attempts.AT_ONCE),
    Probe("use up the disk's files", WATCH, attempts.FILES, "", LITTLE_DISK),
    Probe("hide files where no path reaches", WATCH, attempts.DEEP, "", LITTLE_DISK),
    Probe("watch more files", SYSCTLS, attempts.WATCHES, "", (FEW_WATCHES,)),
    Probe("have more watchers", SYSCTLS, attempts.WATCHERS, needs=attempts.watchers),
    Probe("take the watchers of others", OWN_USER, attempts.neighbours_inotify, "", (SYSCTLS,), root),
    Probe("take the pipes of others", OWN_USER, attempts.neighbours_pipes, needs=root),
    Probe("take the processor from others", GROUP, attempts.neighbours_processor, needs=attempts.groups),
)
