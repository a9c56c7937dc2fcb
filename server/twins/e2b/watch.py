"""Watching a sandbox's folders: inotify's events turned into envd's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem import filesystem_pb as pb

from server.errors import StackError
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.inside import watching as inotify

if TYPE_CHECKING:
    from server.twins.e2b.guest import Guest

HEADER = struct.Struct("iIII")
"""inotify's `struct inotify_event`: watch, mask, cookie, length of the name after it."""

READ = 64 << 10
WAITING_LIMIT = 16_384
"""Events that wait for whoever watches; the kernel's own limit for one queue."""

KINDS = (
    (inotify.CREATE | inotify.MOVED_TO, pb.EventType.CREATE),
    (inotify.MOVED_FROM | inotify.MOVE_SELF, pb.EventType.RENAME),
    (inotify.ATTRIB, pb.EventType.CHMOD),
    (inotify.MODIFY, pb.EventType.WRITE),
    (inotify.DELETE | inotify.DELETE_SELF, pb.EventType.REMOVE),
)


class Watch:
    """One watched folder. `cut` ends it when its sandbox is gone."""

    def __init__(
        self, guest: Guest, path: str, opened: int, folders: list[tuple[int, str]], *, recursive: bool
    ) -> None:
        self._guest = guest
        self._path = path
        self._opened = opened
        self._folders = dict(folders)
        self._recursive = recursive
        self._waiting: deque[tuple[str, Any]] = deque()
        self._news = asyncio.Event()
        self._closed = self._overflown = False
        self._chores: set[asyncio.Task[None]] = set()
        self.asked: tuple[str, bool] | None = None
        """Of a watch that is asked for its events: its folder, and whether each is told with its entry."""
        asyncio.get_running_loop().add_reader(opened, self._read)

    @classmethod
    async def begin(cls, guest: Guest, path: str, *, recursive: bool) -> Watch:
        """Raises what envd answers: `not_found`, or `invalid_argument` for what is no folder."""
        try:
            folders, (opened,) = await guest.call("watch", path=path, recursive=recursive)
        except FileTrouble as trouble:
            if trouble.name == "ENOENT":
                raise ConnectError(Code.NOT_FOUND, f"path {path} not found") from None
            if trouble.name == "ENOTDIR":
                raise ConnectError(Code.INVALID_ARGUMENT, f"path {path} not a directory") from None
            raise ConnectError(Code.INTERNAL, f"error adding path {path} to watcher: {trouble.name}") from None
        return cls(guest, path, opened, folders, recursive=recursive)

    def cut(self) -> None:
        """End it: no more events, and whoever waits for one is told."""
        if self._closed:
            return
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._opened)
        os.close(self._opened)
        self._news.set()

    async def next(self) -> tuple[str, Any]:
        """The next event: the entry's path below the folder, and what happened to it."""
        while not self._waiting:
            if self._overflown:
                raise ConnectError(Code.INTERNAL, "watcher error: queue or buffer overflow")
            if self._closed:
                raise ConnectError(Code.UNAVAILABLE, "the connection to the sandbox ended before the stream completed")
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def drain(self) -> list[tuple[str, Any]]:
        """All events until now."""
        if self._overflown:
            raise ConnectError(Code.INTERNAL, "watcher error: queue or buffer overflow")
        found = [*self._waiting]
        self._waiting.clear()
        return found

    def _read(self) -> None:
        try:
            data = os.read(self._opened, READ)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = HEADER.unpack_from(data, at)
            at += HEADER.size
            self._meet(number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length

    def _meet(self, number: int, mask: int, name: str) -> None:
        if mask & inotify.Q_OVERFLOW:
            self._overflown = True
            self._news.set()
            return
        folder = self._folders.get(number)
        if folder is None or (not name and folder):  # what a folder below says of itself, its parent says better
            return
        entry = posixpath.join(folder, name) if name else "."
        for bits, kind in KINDS:
            if mask & bits:
                self._add(entry, kind)
        if self._recursive and name and mask & inotify.ISDIR and mask & (inotify.CREATE | inotify.MOVED_TO):
            task = asyncio.create_task(self._watch_too(entry))
            self._chores.add(task)
            task.add_done_callback(self._chores.discard)

    def _add(self, entry: str, kind: Any) -> None:
        if len(self._waiting) >= WAITING_LIMIT:
            self._overflown = True
        else:
            self._waiting.append((entry, kind))
        self._news.set()

    async def _watch_too(self, folder: str) -> None:
        with contextlib.suppress(FileTrouble, StackError):  # it or its sandbox is gone again
            kept = os.dup(self._opened) if not self._closed else -1
            try:
                answer, _ = await self._guest.call("watch_more", given=[kept], path=self._path, folder=folder)
            finally:
                os.close(kept)
            self._folders.update(dict(answer["watches"]))
            for found in answer["found"]:
                self._add(found, pb.EventType.CREATE)
