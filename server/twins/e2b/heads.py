"""A request to a sandbox's proxy: where it leads, and what the server there is sent of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

NOT_A_LINE = re.compile(rb"(?<!\r)\n|\r(?!\n)|\0|\r\n[ \t]")
"""Ends of lines that one server takes for such and the next does not, by which a header can hide in another."""


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    host: str
    port: int
    headers: list[bytes]

    @property
    def tunnel(self) -> bool:
        return self.method == "CONNECT"


def read(head: bytes) -> Request:
    """Raises `ValueError` for what is not a proxy's request, or could be read in two ways."""
    if NOT_A_LINE.search(head):
        raise ValueError("lines that do not end as they should")
    return parsed(head)


def parsed(head: bytes) -> Request:
    first, *headers = head.split(b"\r\n")
    method, target, _ = first.decode("ascii").split(" ")
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if not parts.hostname:
        raise ValueError("no host")
    default = 443 if parts.scheme == "https" or method == "CONNECT" else 80
    return Request(method, target, parts.hostname, parts.port or default, headers)


def origin_form(request: Request) -> bytes:
    """The path alone, the host that was looked at, and one request a connection.

    The `Host` it came with could name a neighbour of the admitted one on the same server (RFC 9112, 3.2.2: a proxy
    replaces it), and a second request would not be looked at at all.
    """
    parts = urlsplit(request.target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    dropped = (b"proxy-", b"connection:", b"keep-alive:", b"host:")
    kept = [line for line in request.headers if line and not line.lower().startswith(dropped)]
    host = f"[{request.host}]" if ":" in request.host else request.host
    place = host if parts.port is None else f"{host}:{request.port}"
    lines = [f"{request.method} {path} HTTP/1.1".encode(), f"Host: {place}".encode(), *kept]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])
