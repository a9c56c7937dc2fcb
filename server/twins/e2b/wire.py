"""How the twin and its supervisor talk: JSON messages that can carry open files, over one socket."""

from __future__ import annotations

import array
import json
import os
import socket
import sys
from typing import Any

MESSAGE_LIMIT = 400_000
"""Bytes. A message goes in one piece, and Linux lets an unprivileged socket buffer about this much."""

FILES_LIMIT = 64
KIND = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM


def pair() -> tuple[socket.socket, socket.socket]:
    ends = socket.socketpair(socket.AF_UNIX, KIND)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_LIMIT)
    return ends


def send(channel: socket.socket, message: dict[str, Any], files: list[int] | None = None) -> None:
    """Raises `OSError` (EMSGSIZE) when the message is too long and `BlockingIOError` when it must wait."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    channel.sendmsg([json.dumps(message).encode()], rights)


def receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next message and its files; `None` when the other side is gone."""
    data, files = take(channel, MESSAGE_LIMIT * 2)
    return (json.loads(data) if data else None), files


def take(channel: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """Bytes and the files beside them, closed on exec. (`socket.recv_fds` drops the flag that asks for that.)"""
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    data, ancillary, _, _ = channel.recvmsg(size, socket.CMSG_LEN(FILES_LIMIT * array.array("i").itemsize), flags)
    files = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
    for opened in files:
        os.set_inheritable(opened, False)
    return data, [*files]
