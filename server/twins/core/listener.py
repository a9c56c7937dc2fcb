"""A listening socket that can go deaf: while it is, a client's connection attempt is not answered at all."""

from __future__ import annotations

import errno
import socket
import time

BACKLOG = 2048
FILLERS = 4
"""More than a queue of length 0 takes on any system seen; the last of them hang as a client would."""


class Listener(socket.socket):
    """Deaf by a full queue: the kernel then drops what knocks, as a dead host does."""

    def __init__(self, family: socket.AddressFamily) -> None:
        # asyncio only turns Nagle off (40 ms an answer) on sockets that name their protocol.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._deaf_until = 0.0
        self._fillers: list[socket.socket] = []

    def deafen(self, seconds: float) -> None:
        """Nobody gets through for about so long."""
        self.hear()
        self._deaf_until = time.monotonic() + seconds
        self.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket(self.family, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex(self.getsockname())
            self._fillers.append(filler)

    def hear(self) -> None:
        """Answer again."""
        self._deaf_until = 0.0
        for filler in self._fillers:
            filler.close()
        if self._fillers:
            self.listen(BACKLOG)
        self._fillers = []

    def accept(self) -> tuple[socket.socket, object]:
        if time.monotonic() < self._deaf_until:
            # The one error after which an event loop waits a second before it accepts again.
            raise OSError(errno.EMFILE, "deaf on purpose")
        self.hear()
        return super().accept()
