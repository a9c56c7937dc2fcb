"""Attempts on what all sessions share: memory, disk, processes, and the kernel's own tables."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

from server.twins.e2b import cgroups
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
from tests.security.probe import Probe, python, root
from tests.security.world import World  # noqa: TC001

# A watch comes late by a moment: these go on for longer than that.
STAY = "import time; time.sleep(1.2); print('ESCAPED')"


@cache
def _groups() -> bool:
    return cgroups.find("probe") is not None


def _allows(path: str, least: int) -> bool:
    try:
        return int(Path("/proc/sys", path).read_text()) >= least
    except (OSError, ValueError):
        return False


def filled(place: str) -> str:
    return f"head -c 40M /dev/zero > {place}/filler && echo ESCAPED; rm -f {place}/filler"


MANY = """
import os, signal, time
born = []
try:
    for _ in range(200):
        pid = os.fork()
        if not pid:
            time.sleep(5)
            os._exit(0)
        born.append(pid)
    print('ESCAPED')
finally:
    for pid in born:
        os.kill(pid, signal.SIGKILL)
"""
THREADS = """
import threading
over = threading.Event()
born = [threading.Thread(target=over.wait, args=(5,)) for _ in range(200)]
try:
    for each in born:
        each.start()
    print('ESCAPED')
finally:
    over.set()
"""
INOTIFY = "import ctypes\nlibc = ctypes.CDLL(None)\n"


async def _neighbours_inotify(world: World) -> str:
    """Use up what one user may have, and see whether the neighbour still gets any."""
    await world.start(
        f"python3 -u -c '{INOTIFY}import time\nwhile libc.inotify_init() >= 0: pass\nprint(1)\ntime.sleep(9)'"
    )
    said = await world.run(python(INOTIFY + "print('got', libc.inotify_init())"), of=world.neighbour)
    return "ESCAPED" if "got -1" in said else said


async def _neighbours_pipes(world: World) -> str:
    await world.start(
        python("""
import fcntl, os, time
kept = []
try:
    while True:
        kept.append(os.pipe())
        fcntl.fcntl(kept[-1][1], 1031, 1 << 20)
except OSError:
    while fcntl.fcntl(kept[-1][1], 1032) >= 65536:
        kept.append(os.pipe())
print('full', flush=True)
time.sleep(9)""")
    )
    size = await world.run(python("import fcntl, os\nprint(fcntl.fcntl(os.pipe()[1], 1032))"), of=world.neighbour)
    return "ESCAPED" if int(size) < 65536 else size


async def _neighbours_processor(world: World) -> str:
    """Eight processes, each a session of the kernel's own, against the neighbour's one."""
    spin = "import time\nend = time.time() + 1.5\nwhile time.time() < end: pass\nprint(time.process_time())"
    many = "for i in $(seq 8); do setsid python3 -c '{}' & done; wait"
    ours, theirs = await asyncio.gather(
        world.run(many.format(spin)), world.run(f"python3 -c '{spin}'", of=world.neighbour)
    )
    total = sum(float(line) for line in ours.split())
    return "ESCAPED" if float(theirs) < 0.4 * total else f"{theirs} beside {total}"


PROBES = (
    Probe("take more memory than its share", GROUP, python("x = b'x' * (300 << 20)\nprint('ESCAPED')"),
          beneath=(SMALL_MEMORY, WATCH), needs=_groups),
    Probe("take more memory than its share, without a control group", WATCH, python(f"x = b'x' * (300 << 20)\n{STAY}"),
          beneath=(SMALL_MEMORY, GROUP)),
    Probe("hide memory in files without a name", WATCH, python(
        f"import os\nf = os.memfd_create('x')\nfor _ in range(300): os.write(f, bytes(1 << 20))\n{STAY}"),
          beneath=(SMALL_MEMORY, GROUP)),
    Probe("fill memory through /tmp", SIZES, filled("/tmp"), beneath=(SMALL_SIZES,)),
    Probe("fill memory through /var/tmp", SIZES, filled("/var/tmp"), beneath=(SMALL_SIZES,)),
    Probe("fill memory through /dev/shm", SIZES, filled("/dev/shm"), beneath=(SMALL_SIZES,)),
    Probe("have more processes than its share", NPROC, python(MANY), beneath=(FEW_PROCESSES,)),
    Probe("have more threads than its share", NPROC, python(THREADS), beneath=(FEW_PROCESSES,)),
    Probe("have more open files than its share", NOFILE, python(
        "kept = [open('/dev/null') for _ in range(200)]\nprint('ESCAPED')"), beneath=(FEW_OPEN,)),
    Probe("write a file larger than its share", FSIZE, "head -c 4M /dev/zero > /app/big && echo ESCAPED",
          beneath=(SMALL_FILES,)),
    Probe("claim a file larger than its share", FSIZE, "truncate -s 1G /app/sparse && echo ESCAPED", beneath=(SMALL_FILES,)),  # noqa: E501
    Probe("fill the disk", WATCH, python(
        f"for n in range(40): open(f'/app/{{n}}', 'wb').write(bytes(4 << 20))\n{STAY}"), beneath=(SMALL_DISK,)),
    Probe("fill the disk with files that are removed but open", WATCH, python(
        f"import os\nf = open('/app/gone', 'wb')\nos.unlink('/app/gone')\nf.write(bytes(160 << 20))\nf.flush()\n{STAY}"),  # noqa: E501
          beneath=(SMALL_DISK,)),
    Probe("fill the disk under node_modules", WATCH, python(
        f"for n in range(40): open(f'/app/node_modules/{{n}}', 'wb').write(bytes(4 << 20))\n{STAY}"), beneath=(SMALL_DISK,)),  # noqa: E501
    Probe("fill the disk in one call", FILTER, "fallocate -l 64M /app/big && echo ESCAPED"),
    Probe("use up the disk's files", WATCH, python(
        f"import os\nos.mkdir('/app/many')\nfor n in range(9000): open(f'/app/many/{{n}}', 'w').close()\n{STAY}"),
          beneath=(SMALL_DISK,)),
    Probe("hide files where no path reaches", WATCH, python(
        f"import os\nos.chdir('/app')\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n{STAY}"),
          beneath=(SMALL_DISK,)),
    Probe("watch more files than its share", SYSCTLS, python(INOTIFY + """
import os
for n in range(100): os.mkdir(f'/tmp/{n}')
watcher = libc.inotify_init()
print('ESCAPED' if all(libc.inotify_add_watch(watcher, f'/tmp/{n}'.encode(), 2) > 0 for n in range(100)) else 'no')"""),
          beneath=(FEW_WATCHES,)),
    Probe("have more watchers than its share", SYSCTLS, python(
        INOTIFY + "print('ESCAPED' if all(libc.inotify_init() >= 0 for _ in range(90)) else 'no')"),
          needs=lambda: _allows("fs/inotify/max_user_instances", 100)),
    Probe("take the watchers of others", OWN_USER, _neighbours_inotify, beneath=(SYSCTLS,), needs=root),
    Probe("take the pipes of others", OWN_USER, _neighbours_pipes, needs=root),
    Probe("take the processor from others", GROUP, _neighbours_processor, needs=_groups),
)  # fmt: skip
