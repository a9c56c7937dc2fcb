"""A sandbox's only way out: an HTTP proxy that lets through the hosts it was told, and nothing else."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from server.twins.e2b import heads
from server.twins.e2b.relay import join

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from server.twins.e2b.network import Policy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

DEFAULT_REGISTRY = "https://registry.npmjs.org/"
NPM_LIMIT = 20.0
HEAD_LIMIT = 10.0
CONNECT_LIMIT = 30.0
PORT = 3128
"""Where it listens in the sandbox."""


async def registry_of(node: Path, environ: Mapping[str, str]) -> str:
    """The registry this user's npm uses. Asked of npm, which alone knows all the places that may say so."""
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    words = [str(node / "bin" / "node"), str(npm), "config", "get", "registry"]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, env=dict(environ), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError:
        return DEFAULT_REGISTRY
    try:
        async with asyncio.timeout(NPM_LIMIT):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return DEFAULT_REGISTRY
    found = out.decode(errors="replace").strip()
    return found if found.startswith(("http://", "https://")) else DEFAULT_REGISTRY


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, or of whatever else the system takes for one: `127.1`, `2130706433`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    return [str(sockaddr[0]) for *_, sockaddr in found]


@dataclass(frozen=True)
class Proxy:
    policy: Callable[[], Policy]
    """Who may be reached, asked for every connection."""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    """The host's own environment: if it reaches the internet through a proxy, so do we."""
    resolve: Callable[[str, int], Awaitable[list[str]]] = resolved
    connect: Callable[[str, int], Awaitable[Streams]] = asyncio.open_connection

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_LIMIT):
                head = await reader.readuntil(b"\r\n\r\n")
            request = self.read(head)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()
            return
        host, port = request.host, request.port
        if not self.admits(host, port):
            _refuse(writer, 403, f"{host}:{port} is not a host this sandbox may reach")
            return
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                there = await self.dial(host, port)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            _refuse(writer, 502, f"{host}:{port} cannot be reached from here")
            return
        if request.tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there[1].write(self.onward(request))
        await join((reader, writer), there)

    async def dial(self, host: str, port: int) -> Streams:
        # The address looked at is the address dialled, or a name could change its mind in between.
        onward = self._onward(host)
        try:
            found = await self.resolve(host, port)
        except OSError:
            if onward is None:
                raise
            found = []  # only the host's own proxy knows the name
        addresses = [address for address in found if self.reaches(host, port, address)]
        if found and not addresses:
            raise OSError("it leads nowhere this sandbox may go")
        if onward is not None:
            return await _through(onward, host, port)
        for address in addresses:
            try:
                return await self.connect(address, port)
            except OSError:
                continue
        raise OSError("no address answers")

    def read(self, head: bytes) -> heads.Request:
        return heads.read(head)

    def admits(self, host: str, port: int) -> bool:
        return self.policy().admits(host, port)

    def reaches(self, host: str, port: int, address: str) -> bool:
        return self.policy().reaches(host, port, address)

    def onward(self, request: heads.Request) -> bytes:
        """What the server is sent of a plain request's head."""
        return heads.origin_form(request)

    def _onward(self, host: str) -> str | None:
        exempt = (self.environ.get("no_proxy") or self.environ.get("NO_PROXY") or "").split(",")
        if any(
            name.strip() and (host == name.strip() or host.endswith("." + name.strip().lstrip("."))) for name in exempt
        ):
            return None
        return self.environ.get("https_proxy") or self.environ.get("HTTPS_PROXY") or None


async def _through(proxy: str, host: str, port: int) -> Streams:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or 3128, ssl=parts.scheme == "https" or None
    )
    login = ""
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        login = f"Proxy-Authorization: Basic {b64encode(pair.encode()).decode()}\r\n"
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if head.split(b" ", 2)[1] != b"200":
        writer.close()
        raise OSError("the host's proxy refused")
    return reader, writer


def _refuse(writer: asyncio.StreamWriter, status: int, why: str) -> None:
    body = why.encode()
    writer.write(
        f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n".encode()
        + body
    )
    writer.close()
