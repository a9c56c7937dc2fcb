"""One ASGI app: the page at `/`, the API under `/api`, MCP at `/mcp`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent_loop.web.api import Api, on_error
from agent_loop.web.guard import Guard, refuse
from agent_loop.web.operator import Operator
from server.errors import Mk0rError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from agent_loop.web.boot import Boot
    from server.secrets import Secret

PAGE = Path(__file__).parent / "page"


class Mcp:
    """MCP once the server is up; before that, a plain sentence."""

    def __init__(self, boot: Boot, api: Api) -> None:
        self._boot = boot
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._boot.parts is not None:
            from server.tools.sessions import OPERATOR  # loaded with the parts; at the top it would hold up the start

            scope[OPERATOR] = self._api.is_operator(Request(scope))
            await self._boot.parts.mcp(scope, receive, send)
            return
        await refuse(503, "starting", "The server is still starting.", "Ask again in a moment.")(scope, receive, send)


def build(boot: Boot, token: Secret, *, hosts: tuple[str, ...] = (), stop: Callable[[], None]) -> Starlette:
    """The app. `token` is the operator's; `hosts` are public names besides loopback; `stop` ends the process."""
    api = Api(boot, token)
    operator = Operator(boot, api, stop)
    return Starlette(
        routes=[
            Route("/", _index),
            *operator.routes(),
            *api.routes(),
            Route("/mcp", Mcp(boot, api)),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={Mk0rError: on_error},
    )


async def _index(request: Request) -> FileResponse:
    return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})
