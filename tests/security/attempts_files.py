"""How the attempts on files are made (`probes_files`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.security.probe import python

if TYPE_CHECKING:
    from tests.security.world import World

REMOUNT = python("""
import ctypes
print(ctypes.CDLL(None).mount(None, b"/etc/passwd", None, 0x1020 | 2 | 4, None))
open("/etc/passwd", "a").write("#")
print("ESCAPED")
""")
UNMOUNT = "umount /tmp && echo ESCAPED"
LINK = "ln /host@secret_path@ /host@folder@/app/hard && cat /app/hard"
SPEAK = python("""
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/host@socket_path@')
s.send(b'x')
print(s.recv(999))
""")
RENAME_CORES = 'f=/host/proc/sys/kernel/core_pattern; v=$(cat $f) && echo "$v" > $f && echo ESCAPED'


async def through_the_file_service(world: World) -> str:
    """Plant a link, then have the twin itself follow it."""
    await world.run("ln -sf /host@secret_path@ /app/link")
    return await world.read_by_service("/app/link")


async def into_every_node_modules(world: World) -> str:
    await world.run("echo x > /app/node_modules/@nonce@")
    return await world.run("ls /app/node_modules", of=world.neighbour)
