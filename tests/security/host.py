"""The machine the sandboxes are on, as far as attempts look at it: a secret behind a file, ports and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


class Host:
    def __init__(self, folder: Path) -> None:
        """`folder` must be reachable by any user, as a home's stack is."""
        self.secret = secrets.token_hex(12)
        self.folder = folder
        self.file = folder / "secret"
        self.file.write_text(self.secret)
        self.file.chmod(0o666)
        self.abstract = f"mk0r-probe-{secrets.token_hex(4)}"
        self.given = self.port = self.port6 = self.web = self.onward = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[Host]:
        """Its services listen while the block runs."""
        answer = _answering(self.secret.encode())
        servers = [
            await asyncio.start_server(_answering(b"given"), "127.0.0.1", 0),
            await asyncio.start_server(answer, "127.0.0.1", 0),
            await asyncio.start_server(answer, "::1", 0),
            await asyncio.start_server(self._serve_hosts, "127.0.0.1", 0),
            await asyncio.start_server(self._lead_on, "127.0.0.1", 0),
            await asyncio.start_unix_server(answer, f"\0{self.abstract}"),
            await asyncio.start_unix_server(answer, self.folder / "socket"),
        ]
        (self.folder / "socket").chmod(0o666)
        ports = [each.sockets[0].getsockname()[1] for each in servers[:5]]
        self.given, self.port, self.port6, self.web, self.onward = ports
        try:
            yield self
        finally:
            for server in servers:
                server.close()

    async def _serve_hosts(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A web server with two hosts, one of which has the secret. It takes any end of a line for one, and the last
        `Host` for the right one, as some do."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.replace(b"\r", b"").lower().split(b"\n")
                host = next((line for line in reversed(lines) if line.startswith(b"host:")), b"")
                content = self.secret.encode() if b"inner.example" in host else b"welcome"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
                if b"connection: close" in lines:
                    break
        writer.close()

    async def _lead_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A proxy that gets whoever asks to the secret."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await _answering(self.secret.encode())(reader, writer)

    def facts(self) -> dict[str, str]:
        return {
            "secret": self.secret,
            "secret_path": str(self.file),
            "socket_path": str(self.folder / "socket"),
            "abstract": self.abstract,
            "given": str(self.given),
            "port": str(self.port),
            "port6": str(self.port6),
            "pid": str(os.getpid()),
            "python": sys.executable,
            "setuid": str(self._setuid()),
            "block": next((str(each) for each in Path("/dev").iterdir() if stat.S_ISBLK(each.lstat().st_mode)), "none"),
        }

    def _setuid(self) -> Path:
        """A program that runs as root whoever starts it, and says so."""
        place = self.folder / "id"
        if os.geteuid() == 0 and not place.exists():
            shutil.copy(shutil.which("id") or "/usr/bin/id", place)
            place.chmod(0o4755)
        return place


def _answering(content: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(65536)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content)
            writer.close()

    return handle
