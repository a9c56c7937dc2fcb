"""Mounts that show one user's files as another's: the template is one user's, and each session has its own.

Linux's new mount interface (`open_tree`, `mount_setattr`, `move_mount`; numbers from its `asm-generic/unistd.h`, the
same on every architecture), which libc has only lately. Making such a mount takes host root; the sandbox that gets it,
as an open file, can attach it in its own namespace only.
"""

from __future__ import annotations

import ctypes
import os

from server.twins.e2b.confine import libc

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_IDMAP = 0x1, 0x2, 0x4, 0x100000


def mapped(folder: str, users: int) -> int:
    """A mount of `folder`, read-only and not attached anywhere, seen through the user namespace `users`.

    Raises `OSError` where the kernel or the file system cannot, or when we are not root.
    """
    mount = _call(OPEN_TREE, AT_FDCWD, folder.encode(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
    attributes = (ctypes.c_uint64 * 4)(
        MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0, users
    )
    try:
        _call(MOUNT_SETATTR, mount, b"", AT_EMPTY_PATH, attributes, ctypes.sizeof(attributes))
    except OSError:
        os.close(mount)
        raise
    return mount


def attach(mount: int, folder: str) -> None:
    """Mount what `mapped` made, in this process's own mount namespace."""
    _call(MOVE_MOUNT, mount, b"", AT_FDCWD, folder.encode(), MOVE_MOUNT_F_EMPTY_PATH)


def _call(number: int, *arguments: object) -> int:
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    found: int = libc.syscall(ctypes.c_long(number), *words)
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found
