"""Attempts on processes: others', the kernel's rarer doors, and the end of one's own."""

from __future__ import annotations

from tests.security import attempts_kernel as kernel
from tests.security import attempts_processes as attempts
from tests.security.lifting import (
    BURIAL,
    CORE,
    EVERY_NAMESPACE,
    FILTER,
    HOST_PROCESSES,
    MEMORY_KEYS,
    NO_FURTHER,
    OWN_USER,
    PROCESSES,
    SYSCTLS,
)
from tests.security.probe import Probe, root

ALONE = (EVERY_NAMESPACE,)

PROBES = (
    Probe("see the processes of another session", PROCESSES, attempts.seen, "neighbours"),
    Probe("see the processes of the machine", PROCESSES, "cat /proc/@pid@/status && echo ESCAPED"),
    Probe("end another session's process", HOST_PROCESSES, attempts.killed, "", (OWN_USER,), root),
    # Behind the namespaces: could they be named, they would still be another user's.
    Probe("end another session's process by its number", OWN_USER, attempts.killed, "", (HOST_PROCESSES,), root),
    Probe("read another process's environment", OWN_USER, attempts.environment_read, "@env@", ALONE, root),
    Probe("go into another session's files through a process", OWN_USER, attempts.files_read, "@env@", ALONE, root),
    Probe("open another process's memory", OWN_USER, attempts.memory_opened, "", ALONE, root),
    Probe("outlive its sandbox", PROCESSES, attempts.outlived),
    Probe("fill the process table with the dead", BURIAL, attempts.ORPHANS),
    Probe("leave a core dump", CORE, attempts.DUMP, needs=kernel.dumps),
    Probe("make a user namespace", NO_FURTHER, kernel.UNSHARE, "", (FILTER,)),
    Probe("make a user namespace by unshare", FILTER, kernel.UNSHARE, "", (NO_FURTHER,)),
    Probe("make a user namespace by clone", FILTER, kernel.CLONE, "", (NO_FURTHER,)),
    Probe("make a user namespace by clone3", FILTER, kernel.CLONE3, "", (NO_FURTHER,)),
    Probe("trace a process", FILTER, kernel.TRACE),
    Probe("read another process's memory", FILTER, kernel.READ_MEMORY),
    Probe("take another process's open file", FILTER, kernel.TAKE_FILE),
    Probe("put a key into a keyring", FILTER, kernel.ADD_KEY),
    Probe("read a keyring", FILTER, kernel.READ_KEYS),
    Probe("have a ring of system calls", FILTER, kernel.RING, needs=kernel.rings),
    Probe("watch the processor", FILTER, kernel.PERFORMANCE, needs=kernel.performance),
    Probe("handle a process's page faults", FILTER, kernel.PAGE_FAULTS),
    Probe("watch a whole file system", FILTER, kernel.FANOTIFY, "", (SYSCTLS,)),
    Probe("watch a whole file system without a filter", SYSCTLS, kernel.FANOTIFY, "", (FILTER,)),
    Probe("take the randomness out of memory", FILTER, kernel.PERSONALITY),
    Probe("have memory the kernel itself cannot read", FILTER, kernel.SECRET_MEMORY, needs=kernel.secret_memory),
    Probe("have memory that belongs to no process", FILTER, kernel.SEGMENT),
    Probe("read the machine's shared memory", MEMORY_KEYS, attempts.hosts_memory, "@secret@", (FILTER,)),
    Probe("type into a terminal", FILTER, kernel.TYPE, needs=kernel.typing),
    Probe("make a system call by a 32-bit number", FILTER, kernel.THIRTY_TWO, needs=kernel.thirty_two),
    Probe("make a system call younger than the list", FILTER, kernel.YOUNG, needs=kernel.young),
)
