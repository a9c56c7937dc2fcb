"""Joining a sandbox's namespaces, and making one of our own before it."""

from __future__ import annotations

import ctypes
import fcntl
import os

from server.twins.e2b.confine import PR_SET_DUMPABLE, libc, prctl

CLONE_NEWUSER = 0x10000000
CLONE_NEWNS = 0x00020000
CLONE_NEW = {
    "owner": CLONE_NEWUSER,
    "mnt": CLONE_NEWNS,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "cgroup": 0x02000000,
    "pid": 0x20000000,
    "user": CLONE_NEWUSER,
}
"""In the order they are entered: first the user namespace that owns the others and so gives the right to enter them,
last the one inside it that bubblewrap's `--disable-userns` made, in which no further one can be."""

NS_GET_USERNS = 0xB701


def enter(namespaces: dict[str, int], *names: str) -> None:
    """Join namespaces by their open files. After the first this process holds every capability *in it*."""
    for name, kind in CLONE_NEW.items():
        if name in names and name in namespaces and libc.setns(namespaces[name], kind) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


def open_namespaces(pid: int) -> dict[str, int]:
    """The namespaces of a process, held open so that its number may be used again."""
    here = f"/proc/{pid}/ns"
    found = {name: os.open(f"{here}/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in os.listdir(here)}  # noqa: PTH208
    for name in found.keys() - CLONE_NEW.keys():
        os.close(found.pop(name))
    found["owner"] = fcntl.ioctl(found["mnt"], NS_GET_USERNS)
    os.set_inheritable(found["owner"], False)
    if os.fstat(found["owner"]).st_ino == os.fstat(found["user"]).st_ino:
        os.close(found.pop("user"))  # one level only: entering it twice is an error
    return found


def unshare_files(known_as: int) -> int:
    """Give this process a user namespace, and mounts only it and its children see; the namespace, open.

    In it the one user there is, this process's own, is called `known_as`: seen through a mount that is mapped by this
    namespace, what belongs to `known_as` on disk belongs to us.
    """
    ours, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    prctl(PR_SET_DUMPABLE, 1)  # or these files would be root's; nothing else runs as this user yet
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{known_as} {ours} 1"),
        ("gid_map", f"{known_as} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as out:  # noqa: PTH123 - a kernel file
            out.write(line)
    prctl(PR_SET_DUMPABLE, 0)
    return os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
