"""What stands before every route: who may address us, from where, with how much, and what browsers may do.

A server on a loopback port is within reach of every page the user has open. The Host allow-list stops
DNS rebinding; the origin check stops a foreign page's forms and fetches; the JSON content type makes sure
that a browser asks first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 256 * 1024
MCP_BODY_LIMIT = 4 * 1024 * 1024
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-src http://*.localhost:* http://127.0.0.1:* https://*.e2b.app; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


class BodyTooLarge(Exception):
    """More bytes than a request may carry."""


class Guard:
    """ASGI middleware around the whole app. `hosts` are the names we may be addressed by besides loopback."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._hosts = {*LOOPBACK, *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, _with_security_headers(send))
            return
        limit = MCP_BODY_LIMIT if scope["path"] == "/mcp" else BODY_LIMIT
        try:
            await self._app(scope, _limited(receive, limit), _with_security_headers(send))
        except BodyTooLarge:
            refusal = refuse(413, "too_large", f"A request may carry at most {limit // 1024} KiB.")
            await refusal(scope, receive, _with_security_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if _without_port(host) not in self._hosts:
            return refuse(421, "wrong_host", "This server does not answer under that name.")
        if scope["method"] in SAFE_METHODS:
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return refuse(403, "cross_site", "Another site may not send this request.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return refuse(403, "cross_site", "Another site may not send this request.")
        if scope["path"].startswith("/api/") and scope["method"] != "DELETE":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return refuse(415, "not_json", "The API reads JSON: send Content-Type: application/json.")
        return None


def refuse(status: int, code: str, message: str, next_action: str = "") -> JSONResponse:
    """Our one error body."""
    body = {"error": {"code": code, "message": message, "next_action": next_action}}
    return JSONResponse(body, status_code=status)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise BodyTooLarge
        return message

    return counted


def _with_security_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded
