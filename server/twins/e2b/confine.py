"""What a child of the supervisor does to itself before it does anything for a sandbox.

Runs between `fork` and `execve`, in a process with one thread and nothing but the standard library. It is
never dumpable there, so no process of the sandbox can trace it or read its memory until `execve` has replaced it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import os
import resource
import signal
import sys
import termios
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEW = {
    "owner": 0x10000000,
    "mnt": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "cgroup": 0x02000000,
    "pid": 0x20000000,
    "user": 0x10000000,
}
"""In the order they are entered: first the user namespace that owns the others and so gives the right to enter them,
last the one inside it that bubblewrap's `--disable-userns` made, in which no further one can be."""

NS_GET_USERNS = 0xB701

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: int) -> None:
    if sys.platform != "linux":
        return
    words = [ctypes.c_ulong(argument) for argument in (*arguments, *[0] * (4 - len(arguments)))]
    if _libc.prctl(ctypes.c_int(option), *words) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def enter(namespaces: dict[str, int], *names: str) -> None:
    """Join namespaces by their open files. After the first this process holds every capability *in it*."""
    for name, kind in CLONE_NEW.items():
        if name in names and name in namespaces and _libc.setns(namespaces[name], kind) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


def open_namespaces(pid: int) -> dict[str, int]:
    """The namespaces of a process, held open so that its number may be used again."""
    here = f"/proc/{pid}/ns"
    found = {name: os.open(f"{here}/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in os.listdir(here)}  # noqa: PTH208
    for name in found.keys() - CLONE_NEW.keys():
        os.close(found.pop(name))
    found["owner"] = fcntl.ioctl(found["net"], NS_GET_USERNS)
    os.set_inheritable(found["owner"], False)
    if os.fstat(found["owner"]).st_ino == os.fstat(found["user"]).st_ino:
        os.close(found.pop("user"))  # one level only: entering it twice is an error
    return found


def drop_capabilities() -> None:
    """Give up every capability and every way back to one.

    The sandbox's read-only mounts are only as strong as this: a process with `CAP_SYS_ADMIN` in the sandbox's
    user namespace could remount them writable.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last one this kernel knows
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def keep_only(files: list[int]) -> list[int]:
    """Close every open file but standard ones and these, which get new numbers and are closed on exec.

    The supervisor's own socket is among the others: in a sandbox's hands it would be the keys to all of them.
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
    os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606 - no shell is what we want


def load_landlock() -> None:
    """Import it while its files can still be read; where it cannot be had, the weak tier goes without."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError):
            importlib.import_module("landlockpy")  # `restrict` finds it in `sys.modules`


def restrict(jail: dict[str, Any]) -> None:
    """The weak tier's walls: only these folders, no signal to a process outside, dead when the supervisor is."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if (landlock := sys.modules.get("landlockpy")) is None or not landlock.supported():
        return
    access = landlock.AccessFS
    everything = access.NONE
    for right in access:
        everything |= right
    read = access.EXECUTE | access.READ_FILE | access.READ_DIR
    with landlock.Ruleset(
        handled_fs=everything,
        handled_net=landlock.AccessNet.NONE,
        scoped=landlock.Scope.SIGNAL | landlock.Scope.ABSTRACT_UNIX_SOCKET,
    ) as rules:
        for paths, rights in ((jail["read"], read), (jail["write"], everything)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    rules.allow_path(path, rights)
        rules.restrict()
