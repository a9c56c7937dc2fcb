"""Sockets made in a sandbox's network: a socket stays in the network it was made in, whoever holds it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.e2b.inside.jail import Answer, Jail


def listeners(_jail: Jail, ports: list[int]) -> Answer:
    """Listening sockets on the sandbox's loopback."""
    opened: list[int] = []
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        opened.append(listener.detach())
    return None, opened


def sockets(_jail: Jail, count: int) -> Answer:
    """Unconnected TCP sockets in the sandbox's network, for connecting to what listens there."""
    return None, [socket.socket().detach() for _ in range(count)]
