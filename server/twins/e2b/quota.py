"""The file system's own quota for one user, where it keeps any: then a sandbox's disk has a hard limit.

Only root may set one, and only a sandbox with a user of its own can have one. (ext4 made with `-O quota` or mounted
with `usrquota`, XFS mounted with `uquota`; `quotactl(2)`.)
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from server.twins.e2b.confine import libc

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.e2b.shares import Shares

QUOTACTL_FD = 443
SET_USER_QUOTA = 0x800008 << 8
BOTH_LIMITS = 1 | 4
BLOCK = 1024


class Limits(ctypes.Structure):
    """`struct if_dqblk`; hard and soft are the same, for there is nobody to be warned."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("blocks", "soft_blocks", "space", "files", "soft_files", "inodes")),
        ("block_time", ctypes.c_uint64),
        ("file_time", ctypes.c_uint64),
        ("valid", ctypes.c_uint32),
    )


def set_for(uid: int | None, folder: Path, shares: Shares) -> bool:
    """Limit what `uid` may own on `folder`'s file system; whether that could be done."""
    if uid is None or os.geteuid() != 0:
        return False
    blocks = shares.disk // BLOCK
    limits = Limits(blocks, blocks, 0, shares.files, shares.files, 0, 0, 0, BOTH_LIMITS)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        words = [ctypes.c_long(word) for word in (QUOTACTL_FD, opened, SET_USER_QUOTA, uid)]
        return libc.syscall(*words, ctypes.byref(limits)) == 0
    finally:
        os.close(opened)
