"""One request, or one WebSocket, handed on to a server in a sandbox, streamed both ways."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import h11

from server.twins.e2b.errors import PORT_CLOSED

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

CHUNK = 65536
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
HANDSHAKE = {
    b"host",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
}
ANSWER_LIMIT = 120.0
"""Seconds a port may be silent in the middle of an answer."""


async def refuse(scope: Scope, receive: Receive, send: Send, body: dict[str, Any]) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": body["message"]})
        return
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": body["code"], "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def http(scope: Scope, receive: Receive, send: Send, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    try:
        reader, writer = await asyncio.open_connection(sock=sock, ssl=tls, server_hostname="localhost" if tls else None)
    except OSError:
        await refuse(scope, receive, send, {"message": PORT_CLOSED, "code": 502})
        return
    upstream = h11.Connection(h11.CLIENT)
    started = False
    try:
        asking = asyncio.create_task(_ask(scope, receive, upstream, writer))
        try:
            async for event in _answers(upstream, reader):
                if isinstance(event, h11.Response):
                    headers = [(k, v) for k, v in event.headers if k not in HOP_BY_HOP]
                    await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
                    started = True
                elif isinstance(event, h11.Data):
                    await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            asking.cancel()
    except (OSError, h11.ProtocolError, TimeoutError):
        if started:
            raise  # the server cuts the connection: a half answer must not look whole
        await refuse(scope, receive, send, {"message": PORT_CLOSED, "code": 502})
    finally:
        writer.close()


async def _ask(scope: Scope, receive: Receive, upstream: h11.Connection, writer: asyncio.StreamWriter) -> None:
    """Send the request on as it comes in; a client that hangs up hangs up there, too."""
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    chunked = any(k == b"transfer-encoding" for k, _ in scope["headers"])
    headers = [(k, v) for k, v in scope["headers"] if k not in HOP_BY_HOP]
    headers += [(b"transfer-encoding", b"chunked")] if chunked else []
    request = h11.Request(method=scope["method"], target=target, headers=[*headers, (b"connection", b"close")])
    with contextlib.suppress(OSError, h11.LocalProtocolError):
        writer.write(upstream.send(request) or b"")
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                writer.close()
                return
            if body := message.get("body", b""):
                writer.write(upstream.send(h11.Data(data=body)) or b"")
                await writer.drain()
            more = message.get("more_body", False)
        writer.write(upstream.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        while (await receive())["type"] != "http.disconnect":
            pass
        writer.close()


async def _answers(upstream: h11.Connection, reader: asyncio.StreamReader) -> AsyncGenerator[Any]:
    while True:
        event = upstream.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(ANSWER_LIMIT):
                upstream.receive_data(await reader.read(CHUNK))
            continue
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return
        yield event


async def websocket(
    scope: Scope, receive: Receive, send: Send, sock: socket.socket, tls: ssl.SSLContext | None
) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    headers = dict(scope["headers"])
    path = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
    passed = [(k.decode(), v.decode("latin-1")) for k, v in scope["headers"] if k not in HOP_BY_HOP | HANDSHAKE]
    await receive()
    try:
        async with connect(
            f"{'wss' if tls else 'ws'}://{headers[b'host'].decode()}{path}",
            sock=sock,
            ssl=tls,
            subprotocols=scope.get("subprotocols") or None,
            additional_headers=passed,
            user_agent_header=None,
            compression=None,
            max_size=None,
            proxy=None,
        ) as there:
            await send({"type": "websocket.accept", "subprotocol": there.subprotocol})
            await _exchange(receive, send, there)
    except (OSError, WebSocketException, TimeoutError):
        with contextlib.suppress(RuntimeError):  # it may be closed already
            await send({"type": "websocket.close", "code": 1011})


async def _exchange(receive: Receive, send: Send, there: Any) -> None:
    """Messages both ways until either side is done."""

    async def inward() -> None:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            await there.send(message["bytes"] if text is None else text)

    async def outward() -> None:
        async for message in there:
            await send({"type": "websocket.send", ("text" if isinstance(message, str) else "bytes"): message})
        await send({"type": "websocket.close", "code": there.close_code or 1000})

    ways = [asyncio.create_task(inward()), asyncio.create_task(outward())]
    done, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in pending:
        way.cancel()
    await asyncio.gather(*done, *pending, return_exceptions=True)
