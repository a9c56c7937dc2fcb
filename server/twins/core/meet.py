"""What a fault does to the request that meets it, told in ASGI's messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from server.twins.core.faults import Fault

PIECE = 64 * 1024


async def meet(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Carry the request through the fault; `app` is the healthy twin."""
    if scope["type"] == "websocket":
        await _meet_websocket(fault, app, scope, receive, send)
    elif fault.hang in (True, "headers"):
        await _until_disconnect(receive)
    elif fault.reset:
        await _cut(receive, send)
    elif fault.lose_answer:
        await app(scope, receive, _swallow)
        await _cut(receive, send)
    elif fault.status is not None:
        if fault.done:
            await app(scope, receive, _swallow)
        await _in_its_place(fault)(scope, receive, send)
    else:
        await _spoil(fault, app, scope, receive, send)


def _in_its_place(fault: Fault) -> Response:
    answer = Response(fault.body or "", fault.status or 200, fault.headers)
    answer.headers.setdefault("content-type", "application/json")
    return answer


async def _spoil(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The true answer, or what the fault leaves of it."""
    if fault.hang == "body" or fault.truncate is not None:
        await _stop_short(fault, app, scope, receive, send)
    elif fault.drop_field or fault.pad:
        await _altered(fault, app, scope, receive, send)
    else:
        await app(scope, receive, send)


async def _meet_websocket(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    if fault.hang:
        await _until_disconnect(receive)
    elif fault.status is not None:
        headers = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
        await send({"type": "websocket.http.response.start", "status": fault.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": (fault.body or "").encode()})
    elif fault.reset:
        await _cut(receive, send)
    elif fault.truncate is not None:
        await app(scope, receive, _until_spent(fault.truncate, send))
    else:
        await app(scope, receive, send)


def _until_spent(allowance: int, send: Send) -> Send:
    """`send` until so many bytes of messages went out; the next one cuts the connection."""
    left = allowance

    async def counted(message: Message) -> None:
        nonlocal left
        if message["type"] == "websocket.send":
            left -= len(message.get("bytes") or (message.get("text") or "").encode())
            if left < 0:
                abort(send)
                return
        await send(message)

    return counted


async def _true_answer(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    start: dict[str, Any] = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    return start["status"], list(start.get("headers", [])), bytes(body)


async def _stop_short(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The true answer's head and a part of its body; then silence, or a cut."""
    status, headers, body = await _true_answer(app, scope, receive)
    kept = len(body) // 2 if fault.truncate is None else min(fault.truncate, max(len(body) - 1, 0))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body[:kept], "more_body": True})
    if fault.hang:
        await _until_disconnect(receive)
    else:
        await _cut(receive, send)


async def _altered(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The true answer without a field, or with a very long tail."""
    status, headers, body = await _true_answer(app, scope, receive)
    if fault.drop_field:
        body = _without(body, fault.drop_field.split("."))
    length = len(body) + (fault.pad or 0)
    headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": bool(fault.pad)})
    left = fault.pad or 0
    while left > 0:
        size = min(PIECE, left)
        left -= size
        await send({"type": "http.response.body", "body": b" " * size, "more_body": left > 0})


def _without(body: bytes, keys: list[str]) -> bytes:
    try:
        document = json.loads(body)
        holder = document
        for key in keys[:-1]:
            holder = holder[int(key) if isinstance(holder, list) else key]
        del holder[int(keys[-1]) if isinstance(holder, list) else keys[-1]]
    except (ValueError, LookupError, TypeError):
        return body  # no such field in this answer
    return json.dumps(document).encode()


async def _swallow(_message: Message) -> None:
    pass


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


async def _cut(receive: Receive, send: Send) -> None:
    abort(send)
    await _until_disconnect(receive)


def abort(send: Send) -> None:
    """Cut the connection. ASGI has no word for it, so this reaches for the server's transport.

    Uvicorn hands us a bound method of the object that owns it. Under any other server (an in-process
    client) the error raised is what the caller sees.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the connection was cut on purpose")
    transport.abort()
