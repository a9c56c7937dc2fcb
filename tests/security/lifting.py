"""The guards of a sandbox, each with the way to lift it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from server.local.identity import Identity
from server.twins.e2b import namespaces
from server.twins.e2b.joining import CLONE_NEW
from tests.security.probe import Guard, both, limits, outside, shares, walls, without, words

if TYPE_CHECKING:
    from collections.abc import Callable


def _beside_it(line: list[str]) -> list[str]:
    at = line.index("--remount-ro")
    return [*line[:at], "--dev-bind", "/", "/host", *line[at:]]


def _in_place(line: list[str]) -> list[str]:
    at = line.index("--overlay-src")
    return [*line[:at], "--bind", line[at + 1], line[at + 5], *line[at + 6 :]]


def _writable(line: list[str]) -> list[str]:
    return ["--bind" if word == "--ro-bind" else word for word in line]


def _sized(size: int) -> Callable[[list[str]], list[str]]:
    return lambda line: [str(size) if before == "--size" else word for before, word in pairwise(["", *line])]


def _idle(line: list[str]) -> list[str]:
    return [word if word != namespaces.FIRST else "echo ready; exec sleep infinity" for word in line]


# Mounts
VIEW = Guard("nothing is there but what was bound", words(_beside_it))
READ_ONLY = Guard("what is the machine's is bound read-only", words(_writable))
READ_ONLY_ROOT = Guard("the root folder is read-only", words(without("--remount-ro", "/")))
READ_ONLY_DEV = Guard("/dev is read-only", words(without("--remount-ro", "/dev")))
OVERLAY = Guard("node_modules is an overlay", words(_in_place))
SIZES = Guard("file systems in memory have a size", words(_sized(1 << 30)))

# Namespaces
PROCESSES = Guard(
    "a process namespace of its own",
    both(words(without("--unshare-pid")), words(without("--as-pid-1")), words(_idle), outside("pid")),
)
HOST_PROCESSES = Guard("a process namespace of its own", outside("pid"))
NETWORK = Guard("a network namespace of its own", outside("net"))
MEMORY_KEYS = Guard("an ipc namespace of its own", outside("ipc"))
INNER_USER = Guard("a second user namespace, which owns nothing", outside("user"))
NO_FURTHER = Guard("no further user namespace", words(without("--disable-userns")))
EVERY_NAMESPACE = Guard("all its namespaces", outside(*CLONE_NEW))
BURIAL = Guard("process 1 buries orphans", words(_idle))

# Rights
CAPABILITIES = Guard("no capabilities", walls(capabilities=True))
FILTER = Guard("the filter before system calls", walls(filter=b""))
NO_NEW_PRIVILEGES = Guard("no new privileges", walls(no_new_privileges=False))
OWN_USER = Guard("a user of its own", lambda guards: replace(guards, one_user_each=False))
NOT_ROOT = Guard("never root", lambda guards: replace(guards, one_user_each=False, identity=Identity))

# Shares, most of them made small first, so that using one up is soon done
WATCH = Guard("the watch over memory and disk", lambda guards: replace(guards, watch=False))
GROUP = Guard("a control group", lambda guards: replace(guards, control_groups=False))
SYSCTLS = Guard("limits of its user namespace", walls(sysctls={}))
NPROC = Guard("a limit on processes", limits(NPROC=0))
NOFILE = Guard("a limit on open files", limits(NOFILE=0))
FSIZE = Guard("a limit on one file's size", limits(FSIZE=0))
CORE = Guard("no core dumps", limits(CORE=1 << 30))

# Not guards but the same ones at smaller figures, so that a share is soon used up
SMALL_MEMORY = Guard("(160 MB of memory)", shares(memory=160 << 20, pause=0.1))
SMALL_DISK = Guard("(32 MB of disk, 3000 files)", shares(disk=32 << 20, files=3000, pause=0.1))
SMALL_FILES = Guard("(files of 1 MB)", limits(FSIZE=1 << 20))
SMALL_SIZES = Guard("(16 MB of each file system in memory)", words(_sized(16 << 20)))
FEW_PROCESSES = Guard("(64 processes)", limits(NPROC=64))
FEW_OPEN = Guard("(64 open files)", limits(NOFILE=64))
FEW_WATCHES = Guard("(50 watches)", walls(sysctls={"user/max_inotify_watches": 50}))
