"""The first door to a sandbox's ports: `<port>-<sandbox>.localhost`, HTTP and WebSocket, streamed both ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from server.errors import StackError
from server.twins.core import WireError
from server.twins.e2b import ingress
from server.twins.e2b.errors import NOT_FOUND, PORT_CLOSED, FileTrouble, NoSandbox
from server.twins.e2b.forward import http, refuse, websocket

if TYPE_CHECKING:
    import ssl

    from starlette.types import ASGIApp, Receive, Scope, Send

    from server.twins.e2b.state import Sandboxes

HOST = re.compile(rb"(\d{1,5})-([a-z0-9]+)\.")
ENVD_PORT = 49983


def addressed(scope: Scope) -> tuple[int, str] | None:
    """The port and sandbox a request is for: as its routing headers say, or its Host."""
    headers = dict(scope["headers"])
    sandbox, port = headers.get(b"e2b-sandbox-id", b""), headers.get(b"e2b-sandbox-port", b"")
    if sandbox and port.isdigit():
        return int(port), sandbox.decode("latin-1")
    return (int(match[1]), match[2].decode()) if (match := HOST.match(headers.get(b"host", b""))) else None


class Preview:
    """In front of the twin's own app: takes the requests that are for a sandbox's port."""

    def __init__(self, app: ASGIApp, sandboxes: Sandboxes) -> None:
        self._app = app
        self._sandboxes = sandboxes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = addressed(scope) if scope["type"] in ("http", "websocket") else None
        if place is None or place[0] == ENVD_PORT:
            await self._app(scope, receive, send)
            return
        port, sandbox = place
        try:
            record = self._sandboxes.get(sandbox)
            if body := ingress.refusal(record, scope["headers"]):  # before anything wakes up
                await refuse(scope, receive, send, body)
                return
            sock = await (await self._sandboxes.machine(sandbox)).dial(port)
        except (NoSandbox, StackError, WireError):
            await refuse(scope, receive, send, {"sandboxId": sandbox, "message": NOT_FOUND, "code": 502})
        except (OSError, FileTrouble, TimeoutError):
            body = {"sandboxId": sandbox, "message": PORT_CLOSED, "port": port, "code": 502}
            await refuse(scope, receive, send, body)
        else:
            heard = {**scope, "headers": ingress.as_heard(record, port, scope["headers"])}
            tls = _unverified() if ingress.speaks_tls(record, port) else None
            serve = http if scope["type"] == "http" else websocket
            await serve(heard, receive, send, sock, tls)


def _unverified() -> ssl.SSLContext:
    """For a server in a sandbox that does TLS itself, with a certificate of its own making."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
