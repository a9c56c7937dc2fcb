"""One server process: takes the home's lock and a port, answers at once, and starts the rest behind that."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from agent_loop.environment import fingerprints
from agent_loop.web.app import build
from agent_loop.web.boot import Boot, error_view, open_local
from server.errors import Mk0rError, StackError
from server.local import lock
from server.local.facts import write_private
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AsyncExitStack

    from server.local.home import Home

DEFAULT_PORT = 3000
LAST_WORDS_SECONDS = 1.0  # how long a failed start stays up, so that whoever waits for it can ask why
PUT_AWAY_SECONDS = 20.0


async def serve(
    home: Home,
    *,
    environ: Mapping[str, str],
    announce: Callable[[dict[str, Any]], None],
    host: str = "127.0.0.1",
    port: int | None = None,
    open_parts: Callable[[Boot, AsyncExitStack], Any] = open_local,
) -> int:
    """Serve until told to stop; the exit code. `announce` is told once, when listening or when it cannot."""
    home.make()
    held = lock.try_lock(home.root / "server.lock")
    if held is None:
        announce({"error": error_view(_already_running(home))})
        return 3
    try:
        listening = listen(host, port, remembered=_read(home).get("port"))
    except StackError as error:
        announce({"error": error_view(error)})
        os.close(held)
        return 1
    try:
        return await _serve(home, listening, environ, announce, open_parts)
    finally:
        os.close(held)


async def _serve(
    home: Home,
    listening: socket.socket,
    environ: Mapping[str, str],
    announce: Callable[[dict[str, Any]], None],
    open_parts: Callable[[Boot, AsyncExitStack], Any],
) -> int:
    token = Secret(secrets.token_urlsafe(32))
    host, port = listening.getsockname()[:2]
    known = {"port": port, "host": host}
    own = {**known, "pid": os.getpid(), "token": token.reveal(), "environment": fingerprints(environ)}
    write_private(home.server_file, own)
    boot = Boot(home, open_parts, port=port)
    stop = asyncio.Event()

    def end() -> None:
        # Said before any stream breaks: a view that sees its stream break must not start us again.
        write_private(home.server_file, known)
        server.end()

    hosts = tuple(filter(None, (environ.get("MK0R_PUBLIC_HOST", ""), "" if host in ("0.0.0.0", "::") else host)))  # noqa: S104 - compared
    app = build(boot, token, hosts=hosts, stop=end)
    options: dict[str, Any] = {
        "log_config": None,
        "lifespan": "off",
        "ws": "none",
        "access_log": False,
        "timeout_graceful_shutdown": 1,
    }
    server = Server(uvicorn.Config(app, **options))
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(kind, end)
    starting = asyncio.create_task(boot.run(stop))
    listener = asyncio.create_task(server.serve(sockets=[listening]))
    announce({"port": port, "pid": os.getpid()})
    over = asyncio.create_task(boot.over.wait())
    await asyncio.wait({over, listener}, return_when=asyncio.FIRST_COMPLETED)
    if boot.error is not None:
        write_private(home.server_file, {**own, "error": error_view(boot.error)})
        await asyncio.wait({listener}, timeout=LAST_WORDS_SECONDS)
        server.should_exit = True
    await listener
    over.cancel()
    stop.set()
    if boot.parts is None and boot.error is None:
        starting.cancel()
    await asyncio.wait({starting}, timeout=PUT_AWAY_SECONDS)
    write_private(home.server_file, {**known, "error": error_view(boot.error)})
    return 1 if boot.error else 0


class Server(uvicorn.Server):
    """Uvicorn raises the signal that ended it once more when it has ended, and the process would die of it
    before the rest is put away; so signals are ours."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def end(self) -> None:
        """Stop serving; asked twice, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, named: int | None, *, remembered: int | None) -> socket.socket:
    """A listening socket: at the port the user named or nowhere; else at the usual one or a free one."""
    wanted = [named] if named is not None else [*filter(None, (remembered, DEFAULT_PORT)), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in wanted:
        # Named, or asyncio leaves Nagle's algorithm on, and answers wait 40 ms for an acknowledgement.
        probe = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(128)
        except OSError:
            probe.close()
            continue
        return probe
    raise StackError(
        f"Port {named} on {host} cannot be used: another program has it, or it is not ours to take.",
        next_action="Stop that program, or choose another with --port or MK0R_PORT.",
        code="port_taken",
    )


def _already_running(home: Home) -> Mk0rError:
    port = _read(home).get("port")
    return StackError(
        f"A server of {home.root} is running already{f', at http://127.0.0.1:{port}' if port else ''}.",
        next_action="Use that one, or stop it with `mk0r down`.",
        code="already_running",
    )


def _read(home: Home) -> dict[str, Any]:
    try:
        told = json.loads(home.server_file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON
