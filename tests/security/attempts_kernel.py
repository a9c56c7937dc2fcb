"""How the attempts on the kernel's rarer doors are made (`probes_processes`): each is a system call, by its number."""

from __future__ import annotations

import ctypes
import errno
import platform
from pathlib import Path

from server.twins.e2b import syscalls
from tests.security.probe import python

NUMBERS = syscalls.numbers(platform.machine())
LISTXATTRAT, MEMFD_SECRET = 465, 447

CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    found = libc.syscall(*[ctypes.c_long(word) if isinstance(word, int) else word for word in (number, *arguments)])
    print('ESCAPED' if found >= 0 else os.strerror(ctypes.get_errno()))
"""


def call(name: str, arguments: str, before: str = "") -> str:
    return python(f"{CALL}\n{before}\ncall({NUMBERS.get(name, -1)}, {arguments})")


CHILD = """
child = os.fork()
if child == 0:
    import time; os.close(1); os.close(2); time.sleep(3); os._exit(0)
"""
PIECE = """
class Piece(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
buffer = ctypes.create_string_buffer(8)
there = ctypes.pointer(Piece(ctypes.addressof(buffer), 8))
"""
SOFTWARE_CLOCK = """
import struct
attributes = ctypes.create_string_buffer(struct.pack('IIQQQQQ', 1, 128, 0, 0, 0, 0, 0x60) + bytes(88))
"""
BORN = """
if found == 0:
    os._exit(0)
print('ESCAPED' if found > 0 else os.strerror(ctypes.get_errno()))
"""

UNSHARE = "unshare --user true && echo ESCAPED"
CLONE = python(
    f"{CALL}\nnumbers = ({NUMBERS.get('clone', -1)}, 0x10000000 | 17, 0, 0, 0, 0)\n"
    f"found = libc.syscall(*map(ctypes.c_long, numbers))\n{BORN}"
)
CLONE3 = python(
    f"{CALL}\nflags = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17, 0, 0, 0)\n"
    f"found = libc.syscall(ctypes.c_long(435), flags, ctypes.c_long(64))\n{BORN}"
)
TRACE = call("ptrace", "0x4206, child, 0, 0", CHILD)
READ_MEMORY = call("process_vm_readv", "child, there, 1, there, 1, 0", PIECE + CHILD)
TAKE_FILE = call("pidfd_getfd", "os.pidfd_open(child), 0, 0", CHILD)
ADD_KEY = call("add_key", "b'user', b'probe', b'x', 1, -4")
READ_KEYS = call("keyctl", "0, -4, 1")
RING = call("io_uring_setup", "1, ctypes.create_string_buffer(120)")
PERFORMANCE = call("perf_event_open", "attributes, 0, -1, -1, 0", SOFTWARE_CLOCK)
PAGE_FAULTS = call("userfaultfd", "1")
FANOTIFY = call("fanotify_init", "0x200, 0")
PERSONALITY = call("personality", "0x0040000")
SECRET_MEMORY = call("memfd_secret", "0")
SEGMENT = call("shmget", "0x1234, 4096, 0o1666")
YOUNG = python(f"{CALL}\ncall({LISTXATTRAT}, -100, b'/app', 0, 0, 0)")
TYPE = python("""
import fcntl, os, termios
ours, theirs = os.openpty()
fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
fcntl.ioctl(theirs, termios.TIOCSTI, b'x')
print('ESCAPED')
""")
THIRTY_TWO = python("""
import ctypes, mmap, os
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex('b814000000' 'cd80' 'c3'))  # mov eax, 20 (getpid); int 0x80; ret
found = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
print('ESCAPED' if found == os.getpid() else found)
""")


def rings() -> bool:
    return _says("kernel/io_uring_disabled", "0")


def performance() -> bool:
    return _says("kernel/perf_event_paranoid", "-1", "0", "1", "2")


def typing() -> bool:
    return _says("dev/tty/legacy_tiocsti", "1")


def dumps() -> bool:
    return _says("kernel/core_pattern", "core", "core.%p")


def secret_memory() -> bool:
    return _has(MEMFD_SECRET)


def young() -> bool:
    return _has(LISTXATTRAT)


def thirty_two() -> bool:
    return platform.machine() == "x86_64" and Path("/proc/sys/abi").exists()


def _says(path: str, *values: str) -> bool:
    try:
        return Path("/proc/sys", path).read_text().strip() in values
    except OSError:
        return False


def _has(number: int) -> bool:
    """Whether the kernel knows a system call, whatever it thinks of these arguments."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(ctypes.c_long(number), -1, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != errno.ENOSYS
