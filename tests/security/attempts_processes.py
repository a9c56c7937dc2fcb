"""How the attempts on other processes are made (`probes_processes`)."""

from __future__ import annotations

import asyncio
import ctypes
import os
from typing import TYPE_CHECKING

import psutil

from tests.security.probe import python

if TYPE_CHECKING:
    from tests.security.world import World

ORPHANS = (
    "for i in $(seq 80); do (sleep 0.1 &); done; sleep 0.6; "
    "[ $(grep -l '^State:.*Z' /proc/[0-9]*/status 2> /dev/null | wc -l) -gt 40 ] && echo ESCAPED"
)
DUMP = "cd /tmp; ulimit -c unlimited; bash -c 'kill -SEGV $$'; ls /tmp/core* && echo ESCAPED"

SHARED_MEMORY = python("""
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
found = libc.shmget(@key@, 64, 0)
print(ctypes.string_at(libc.shmat(found, None, 0o10000)).decode() if found >= 0 else 'none')
""")


async def _neighbours(world: World) -> int:
    """A process of the neighbour's; the machine's number for it."""
    child = await world.start(
        "echo up; SECRET=@env@ exec -a neighbours sleep 1000 > /dev/null 2>&1", of=world.neighbour
    )
    return child.host_pid


async def seen(world: World) -> str:
    await _neighbours(world)
    return await world.run("cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' | grep -o 'neighbour[s]'")


async def killed(world: World) -> str:
    return await world.run(f"kill -9 {await _neighbours(world)} && echo ESCAPED")


async def environment_read(world: World) -> str:
    return await world.run(f"cat /proc/{await _neighbours(world)}/environ")


async def files_read(world: World) -> str:
    return await world.run(f"cat /proc/{await _neighbours(world)}/root/app/.env")


async def memory_opened(world: World) -> str:
    return await world.run(f"exec 3< /proc/{await _neighbours(world)}/mem && echo ESCAPED")


async def outlived(world: World) -> str:
    """Leave a process that nobody is the parent of, and see whether the sandbox's end is its end."""
    name = f"orphan-{world.facts['nonce']}"
    await world.run(f"(setsid bash -c 'exec -a {name} sleep 30' > /dev/null 2>&1 < /dev/null &); sleep 0.3")
    world.spent = True
    await world.attacker.stop()
    left = await asyncio.to_thread(lambda: [each for each in psutil.process_iter() if _first_word(each) == name])
    for each in left:
        each.kill()
    return "ESCAPED" if left else ""


def _first_word(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0]
    except psutil.Error:
        return ""


async def hosts_memory(world: World) -> str:
    """Look for a piece of shared memory that a process of the machine made for everybody."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    world.facts["key"] = str(0x6D6B0000 | os.getpid() & 0xFFFF)
    segment = libc.shmget(int(world.facts["key"]), 64, 0o1666)
    try:
        content = world.host.secret.encode() + b"\0"
        ctypes.memmove(libc.shmat(segment, None, 0), content, len(content))
        return await world.run(SHARED_MEMORY)
    finally:
        libc.shmctl(segment, 0, None)  # 0 removes it
