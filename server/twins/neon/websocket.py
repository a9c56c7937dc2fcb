"""`/v2`: PostgreSQL's own protocol in binary WebSocket frames, as the driver's `Pool` and `Client` speak it.

The bytes go to the cluster's unix socket, where the password is asked for in clear text: the driver sends
it before it is asked. The address a client names is ignored, so nothing else can be reached through here.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocketDisconnect, WebSocketState

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from server.local.postgres import PostgresServer

CHUNK = 64 * 1024
CONNECT_SECONDS = 10.0
TRY_AGAIN_LATER = 1013


def websocket_routes(server: PostgresServer) -> list[BaseRoute]:
    path = str(server.socket_dir / f".s.PGSQL.{server.port}")

    async def tunnel(client: WebSocket) -> None:
        await client.accept()
        try:
            opening = asyncio.open_unix_connection(path)
            reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (OSError, TimeoutError):
            await client.close(TRY_AGAIN_LATER, "the database is not reachable")
            return
        ways = (asyncio.create_task(_up(client, writer)), asyncio.create_task(_down(reader, client)))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
        if client.client_state == client.application_state == WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await client.close()

    return [WebSocketRoute("/v2", tunnel)]


async def _up(client: WebSocket, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionError, KeyError):  # a text frame has no bytes
        while True:
            writer.write(await client.receive_bytes())
            await writer.drain()


async def _down(reader: asyncio.StreamReader, client: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionError, RuntimeError):
        while data := await reader.read(CHUNK):
            await client.send_bytes(data)
