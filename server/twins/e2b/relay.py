"""Handing services of the host into a sandbox: what listens on its loopback is accepted from and piped on by us.

A socket belongs to the network it was made in, whoever holds it. So the supervisor makes the listening sockets inside
and passes them out, and no process of ours ever runs in the sandbox's network.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

CHUNK = 65536
CONNECT_LIMIT = 10.0


@dataclass(frozen=True)
class Target:
    """A service of the host. `tls`: the sandbox speaks TLS to us and we speak plainly on."""

    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `"127.0.0.1:5432"` or `"tls://127.0.0.1:4444"`."""
        scheme, _, address = text.rpartition("://")
        host, _, port = address.rpartition(":")
        return cls(host, int(port), scheme == "tls")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)


def piping_to(connect: Connect, refusal: bytes = b"") -> Callable[..., Awaitable[None]]:
    """A server's handler that joins each connection to a new one of `connect`; `refusal` is said when it fails."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                there = await connect()
        except Exception:  # noqa: BLE001 - whatever it was, this one connection has failed
            writer.write(refusal)
            writer.close()
            return
        await join((reader, writer), there)

    return handle


async def join(
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter], there: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Pipe both ways until both are done."""
    try:
        await asyncio.gather(_pump(here[0], there[1]), _pump(there[0], here[1]))
    finally:
        here[1].close()
        there[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS cannot half-close; left open, Node's process would never end
    except OSError:
        writer.close()


def tls_context(chain: Path) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return context
