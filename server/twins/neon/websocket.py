"""`/v2`: PostgreSQL's own protocol in binary WebSocket frames, as the driver's `Pool` and `Client` speak it.

The bytes go to the cluster's unix socket, where the password is asked for in clear text: the driver sends
it before it is asked. The address a client names is ignored, so nothing else can be reached through here.
Only the first frame is looked into: who comes to which database, so that its compute is woken, or says no.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocketDisconnect, WebSocketState

from server.twins.neon.computes import Refused

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from server.local.postgres import PostgresServer
    from server.twins.neon.computes import Computes, Visit

CHUNK = 64 * 1024
CONNECT_SECONDS = 10.0
TRY_AGAIN_LATER = 1013
PROTOCOL_3 = 3


def websocket_routes(server: PostgresServer, computes: Computes) -> list[BaseRoute]:
    path = str(server.socket_dir / f".s.PGSQL.{server.port}")

    async def tunnel(client: WebSocket) -> None:
        await client.accept()
        try:
            first = await client.receive_bytes()
            role, database = read_startup(first)
            async with computes.visit(role, database, lasting=True) as visit:
                await _carry(client, path, first, visit)
        except (WebSocketDisconnect, KeyError):  # a text frame has no bytes
            return
        except Refused as refused:
            await client.send_bytes(fatal(refused.message))
        if client.client_state == client.application_state == WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await client.close()

    return [WebSocketRoute("/v2", tunnel)]


def read_startup(frame: bytes) -> tuple[str, str]:
    """Role and database of a start-up message; empty for anything else (a cancel request)."""
    if len(frame) < struct.calcsize("!iHH"):
        return "", ""
    length, major, _ = struct.unpack_from("!iHH", frame)
    if major != PROTOCOL_3:
        return "", ""
    words = frame[8:length].split(b"\0")
    told = dict(zip(words[::2], words[1::2], strict=False))
    role = told.get(b"user", b"").decode(errors="replace")
    return role, told.get(b"database", role.encode()).decode(errors="replace")


def fatal(message: str) -> bytes:
    """An ErrorResponse, as PostgreSQL ends a connection with."""
    fields = b"SFATAL\0VFATAL\0CXX000\0M" + message.encode() + b"\0\0"
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


async def _carry(client: WebSocket, path: str, first: bytes, visit: Visit) -> None:
    try:
        opening = asyncio.open_unix_connection(path)
        reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
    except (OSError, TimeoutError):
        await client.close(TRY_AGAIN_LATER, "the database is not reachable")
        return
    writer.write(first)
    ways = (asyncio.create_task(_up(client, writer)), asyncio.create_task(_down(reader, client, visit)))
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.close()


async def _up(client: WebSocket, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionError, KeyError):
        while True:
            await writer.drain()
            writer.write(await client.receive_bytes())


async def _down(reader: asyncio.StreamReader, client: WebSocket, visit: Visit) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionError, RuntimeError):
        while data := await reader.read(CHUNK):
            visit.sent += len(data)
            await client.send_bytes(data)
