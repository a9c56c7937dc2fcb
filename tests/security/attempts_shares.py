"""How the attempts on what all sessions share are made (`probes_shares`)."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from server.twins.e2b import cgroups
from tests.security.probe import python

if TYPE_CHECKING:
    from tests.security.world import World

# A watch comes late by a moment: these go on for longer than that.
STAY = "import time; time.sleep(1.2); print('ESCAPED')"


@cache
def groups() -> bool:
    return cgroups.find(f"probe-{os.getpid()}") is not None


def allows(path: str, least: int) -> bool:
    try:
        return int(Path("/proc/sys", path).read_text()) >= least
    except (OSError, ValueError):
        return False


def filled(place: str) -> str:
    return f"head -c 40M /dev/zero > {place}/filler && echo ESCAPED; rm -f {place}/filler"


MANY = python("""
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
""")
THREADS = python("""
import threading
over = threading.Event()
born = [threading.Thread(target=over.wait, args=(5,)) for _ in range(200)]
try:
    for each in born:
        each.start()
    print('ESCAPED')
finally:
    over.set()
""")
INOTIFY = "import ctypes\nlibc = ctypes.CDLL(None)\n"


async def neighbours_inotify(world: World) -> str:
    """Use up what one user may have, and see whether the neighbour still gets any."""
    await world.start(
        f"python3 -u -c '{INOTIFY}import time\nwhile libc.inotify_init() >= 0: pass\nprint(1)\ntime.sleep(9)'"
    )
    said = await world.run(python(INOTIFY + "print('got', libc.inotify_init())"), of=world.neighbour)
    return "ESCAPED" if "got -1" in said else said


async def neighbours_pipes(world: World) -> str:
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


async def neighbours_processor(world: World) -> str:
    """Eight processes, each a session of the kernel's own, against the neighbour's one."""
    spin = "import time\nend = time.time() + 1.5\nwhile time.time() < end: pass\nprint(time.process_time())"
    many = "for i in $(seq 8); do setsid python3 -c '{}' & done; wait"
    ours, theirs = await asyncio.gather(
        world.run(many.format(spin)), world.run(f"python3 -c '{spin}'", of=world.neighbour)
    )
    total = sum(float(line) for line in ours.split())
    return "ESCAPED" if float(theirs) < 0.4 * total else f"{theirs} beside {total}"


MEMORY = python("x = b'x' * (300 << 20)\nprint('ESCAPED')")
MEMORY_KEPT = python(f"x = b'x' * (300 << 20)\n{STAY}")
NAMELESS = python(f"import os\nf = os.memfd_create('x')\nfor _ in range(300): os.write(f, bytes(1 << 20))\n{STAY}")
OPEN = python("kept = [open('/dev/null') for _ in range(200)]\nprint('ESCAPED')")
LARGE, SPARSE = (f"{words} /app/big && echo ESCAPED" for words in ("head -c 4M /dev/zero >", "truncate -s 1G"))
AT_ONCE = "fallocate -l 64M /app/big && echo ESCAPED"
DISK = python(f"for n in range(40): open(f'/app/{{n}}', 'wb').write(bytes(4 << 20))\n{STAY}")
MODULES = python(f"for n in range(40): open(f'/app/node_modules/{{n}}', 'wb').write(bytes(4 << 20))\n{STAY}")
REMOVED = python(f"""
import os
f = open('/app/gone', 'wb')
os.unlink('/app/gone')
f.write(bytes(160 << 20))
f.flush()
{STAY}
""")
FILES = python(f"import os\nos.mkdir('/app/many')\nfor n in range(9000): open(f'/app/many/{{n}}', 'w').close()\n{STAY}")
DEEP = python(f"import os\nos.chdir('/app')\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n{STAY}")
WATCHES = python(f"""{INOTIFY}
import os
for n in range(100): os.mkdir(f'/tmp/watched-{{n}}')
watcher = libc.inotify_init()
found = [libc.inotify_add_watch(watcher, f'/tmp/watched-{{n}}'.encode(), 2) for n in range(100)]
print('ESCAPED' if min(found) > 0 else 'no')
""")
WATCHERS = python(f"{INOTIFY}print('ESCAPED' if all(libc.inotify_init() >= 0 for _ in range(90)) else 'no')")


def watchers() -> bool:
    return allows("fs/inotify/max_user_instances", 100)
