"""A file lock between processes. The kernel lets go of it when its holder dies, however it dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.errors import StackError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


def try_lock(path: Path) -> int | None:
    """The descriptor that holds the lock until it is closed, or None where another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@asynccontextmanager
async def hold(path: Path, *, patience: float) -> AsyncGenerator[None]:
    """Hold the lock for a while, waiting at most `patience` seconds for it. Raises `StackError`."""
    deadline = time.monotonic() + patience
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise StackError(
                f"Another process has held {path} for {patience:.0f} s.",
                next_action="Let it finish, or run `mk0r down` and try again.",
            )
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        os.close(descriptor)
