"""A twin's ASGI app: the vendor's routes, the `/_twin` routes beside them, and the faults in front."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response

from server.twins.core.admin import admin_routes
from server.twins.core.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Message, Receive, Scope, Send

    from server.twins.core.faults import Fault, Faults
    from server.twins.core.site import Site


def app(
    site: Site,
    routes: Sequence[BaseRoute],
    lifespan: Callable[[Any], Any] | None = None,
    *,
    middleware: Sequence[Middleware] = (),
    exception_handlers: Mapping[Any, Callable[..., Any]] | None = None,
) -> Starlette:
    """`exception_handlers` gives 404, 405 and 500 the vendor's bodies; a raised `WireError` is answered as it is."""
    return Twin(
        site.faults,
        routes=[*admin_routes(site), *routes],
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={WireError: _answer_wire_error, **(exception_handlers or {})},
    )


async def _answer_wire_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, WireError)  # noqa: S101 - registered for nothing else
    return error.response()


class Twin(Starlette):
    """Starlette with the faults outermost: no middleware may turn a dropped connection into a 500."""

    def __init__(self, faults: Faults, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith("/_twin/"):
            fault = self._faults.take(scope["method"], scope["path"])
        if fault is None:
            await super().__call__(scope, receive, send)
        else:
            await self._meet(fault, scope, receive, send)

    async def _meet(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.hold:
            await self._faults.hold(fault.hold)
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.hang:
            await _until_disconnect(receive)
        elif fault.status is not None:
            answer = Response(fault.body or "", fault.status, fault.headers)
            answer.headers.setdefault("content-type", "application/json")
            await answer(scope, receive, send)
        elif fault.lose_answer:
            await super().__call__(scope, receive, _swallow)
            await _drop(receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _swallow(_message: Message) -> None:
    pass


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop(receive: Receive, send: Send) -> None:
    """Cut the connection. ASGI has no word for it, so this reaches for the server's transport.

    Uvicorn hands us a bound method of the object that owns it. Under any other server (an in-process
    client) the error raised is what the caller sees.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the answer was lost on purpose")
    transport.abort()
    await _until_disconnect(receive)
