"""Listening: one uvicorn server per twin, all in the caller's event loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

import uvicorn

from server.errors import StackError
from server.twins.core.app import Twin
from server.twins.core.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.types import ASGIApp

START_LIMIT = 60.0
"""Seconds an app's start-up may take."""


def bind(port: int = 0) -> list[Listener]:
    """Sockets for `localhost` on both of its addresses; port 0 picks a free one.

    Both, because a client that resolves `localhost` to `::1` must not meet another program there.
    """
    first = _listener(socket.AF_INET, "127.0.0.1", port)
    sockets = [first]
    with suppress(OSError):  # no IPv6 here
        sockets.append(_listener(socket.AF_INET6, "::1", first.getsockname()[1]))
    return sockets


def _listener(family: socket.AddressFamily, host: str, port: int) -> Listener:
    listener = Listener(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if family == socket.AF_INET:
            raise StackError(
                f"Port {port} on {host} is taken.", next_action="Run `mk0r down` and try again."
            ) from error
        raise
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers (several run in one loop) and without `sys.exit`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    capture_signals = staticmethod(nullcontext)  # type: ignore[assignment] # same call, no effect

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:
            raise StackError("A local service could not start.", next_action="See the log of the twins.") from None
        self.listening.set()


@asynccontextmanager
async def serving(app: ASGIApp, listeners: Sequence[Listener], *, drain: int = 2) -> AsyncGenerator[int]:
    """Serve `app` while the block runs; gives the port. Requests still open at the end get `drain` seconds."""
    sockets: list[socket.socket] = [*listeners]
    if isinstance(app, Twin):
        app.faults.listeners = [*listeners]
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        lifespan="on",
        log_config=None,  # logging belongs to whoever started us
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=drain,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets))
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait((running, listening), timeout=START_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running  # raises why
        if not server.listening.is_set():
            raise StackError("A local service took too long to start.", next_action="See the log of the twins.")
        yield sockets[0].getsockname()[1]
    finally:
        listening.cancel()
        server.should_exit = True
        if not running.done():
            await asyncio.wait((running,), timeout=drain + 10)
        running.cancel()
