"""A listening socket that can go deaf: while it is, a client's attempt to connect is not answered at all."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct

# socket(7): a classic BPF program every arriving packet must pass. This one, `ret 0`, lets none.
ATTACH_FILTER, DETACH_FILTER = 26, 27
RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


class Listener(socket.socket):
    """Deaf by a filter in the kernel, so that even the handshake goes unanswered, as with a dead host. Linux only."""

    def __init__(self, family: socket.AddressFamily) -> None:
        # asyncio only turns Nagle off (40 ms an answer) on sockets that name their protocol.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._hearing: asyncio.TimerHandle | None = None

    def deafen(self, seconds: float) -> None:
        """Nobody gets a connection for so long; those who have one keep it. Raises `OSError` where it cannot be."""
        self.hear()
        program = ctypes.create_string_buffer(RETURN_NOTHING)
        self.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
        self._hearing = asyncio.get_running_loop().call_later(seconds, self.hear)

    def hear(self) -> None:
        """Answer again."""
        if self._hearing:
            self._hearing.cancel()
            self._hearing = None
            self.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
