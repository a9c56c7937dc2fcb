"""A process's standard files, our ends of them: pipes, or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ_AHEAD = 256 << 10
"""Bytes of a process's output held for a slow reader; past that the process waits."""


@dataclass
class Child:
    """A process in a sandbox. `pid` is its number there, `host_pid` ours."""

    pid: int
    host_pid: int
    exited: asyncio.Future[int]
    """Resolves to the exit status, negative for a signal."""
    stdin: int | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None
    terminal: int | None = None
    notice: Callable[[], str] = str
    """What has happened to its sandbox since it began that whoever reads its output should know; mostly nothing."""

    def feed(self, data: memoryview) -> int:
        """Write to its standard input; how much was taken. Raises `OSError` when it is closed, by it or by us."""
        if self.stdin is None:
            raise BrokenPipeError
        return os.write(self.stdin, data)


def make(*, stdin: bool, terminal: tuple[int, int] | None) -> tuple[tuple[int | None, int, int | None], list[int]]:
    """Our ends of a process's standard files, and its own."""
    if terminal is not None:
        ours, theirs = os.openpty()
        resize(ours, *terminal)
        return (ours, os.dup(ours), None), [theirs, os.dup(theirs), os.dup(theirs)]
    into: int | None = None
    source = os.open(os.devnull, os.O_RDONLY)
    if stdin:
        os.close(source)
        source, into = os.pipe()
        os.set_blocking(into, False)
    out, out_end = os.pipe()
    problems, problems_end = os.pipe()
    return (into, out, problems), [source, out_end, problems_end]


def resize(terminal: int, columns: int, rows: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def reader(opened: int) -> asyncio.StreamReader:
    stream = asyncio.StreamReader(limit=READ_AHEAD)
    protocol = asyncio.StreamReaderProtocol(stream)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(opened, "rb", 0))
    return stream


def close(child: Child) -> None:
    """Close a process's standard input; its outputs close themselves at their end."""
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            os.close(child.stdin)
        child.stdin = None
