"""What a child of the supervisor does to itself before it does anything for a sandbox.

Runs between `fork` and `execve`, in a process with one thread and nothing but the standard library. It is
never dumpable there, so no process of the sandbox can trace it or read its memory until `execve` has replaced it.
"""

from __future__ import annotations

import base64
import ctypes
import fcntl
import os
import resource
import sys
import termios
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
SECUREBITS_LOCKED = 0xCF
"""`NOROOT`, `NO_SETUID_FIXUP` and `NO_CAP_AMBIENT_RAISE`, for good: becoming a user neither gives nor takes a right."""

CAPABILITY_VERSION_3 = 0x20080522
CAP_SETGID, CAP_SETUID = 6, 7

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: int) -> None:
    if sys.platform != "linux":
        return
    words = [ctypes.c_ulong(argument) for argument in (*arguments, *[0] * (4 - len(arguments)))]
    if libc.prctl(ctypes.c_int(option), *words) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def drop_capabilities(*kept: int) -> None:
    """Give up every capability but those in `kept`, and every way back to one.

    The sandbox's read-only mounts are only as strong as this: a process with `CAP_SYS_ADMIN` in the sandbox's
    user namespace could remount them writable.
    """
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            if capability not in kept:
                prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last one this kernel knows, or not ours to give up
    mask = sum(1 << capability for capability in kept)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def step_down(uid: int, gid: int) -> None:
    """From root to `uid`, with nothing kept but the right to become other users, none of them all-powerful."""
    os.setgroups([])
    prctl(PR_SET_SECUREBITS, SECUREBITS_LOCKED)
    become(uid, gid)
    drop_capabilities(CAP_SETGID, CAP_SETUID)


def become(uid: int, gid: int) -> None:
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def keep_only(files: list[int]) -> list[int]:
    """Close every open file but standard ones and these, which get new numbers and are closed on exec.

    The keeper's own socket is among the others: in a sandbox's hands it would be the keys to it.
    """
    top = max(files) + 1
    for index, opened in enumerate(files):
        os.dup2(opened, top + index, inheritable=False)
    os.closerange(3, top)
    os.closerange(top + len(files), os.sysconf("SC_OPEN_MAX"))
    return [*range(top, top + len(files))]


def limit(limits: dict[str, int]) -> None:
    """Set resource limits by their name in `resource`, never above what we were given."""
    for name, wanted in limits.items():
        which = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(which)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (value, value))


def filter_calls(program: bytes) -> None:
    """Put a filter (see `seccomp`) before every system call from now on, of this process and what it becomes."""
    if program:
        content = ctypes.create_string_buffer(program, len(program))

        class Program(ctypes.Structure):
            _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

        prepared = Program(len(program) // 8, ctypes.addressof(content))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(prepared))


def execute(job: dict[str, Any], files: list[int]) -> None:
    """Become the process `job` describes, with `files` as standard input, output and error."""
    os.setsid()
    os.umask(0o022)
    for number, opened in enumerate(files):
        os.dup2(opened, number)
    if job.get("terminal"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    limit(job["limits"])
    os.chdir(job["cwd"])
    if job["no_new_privileges"]:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    filter_calls(base64.b64decode(job["filter"]))
    os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606 - no shell is what we want
