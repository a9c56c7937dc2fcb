"""The embedded PostgreSQL: one cluster per home, its own process group, outliving who started it.

It never runs as root: root's children drop to `database_identity()`. What root writes (configuration,
copied binaries) stays in folders root owns, so the dropped identity can plant nothing there.

    <home.postgres>/etc   configuration, rewritten at every start
    <home.postgres>/data  the cluster (0700, the database's own identity)
    <home.postgres>/run   its unix socket (0700, the same)
    <home.postgres>/dist  binaries, copied only when that identity cannot reach the installed ones
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from server.errors import StackError
from server.local.postgres_binaries import PostgresBinaries, find_binaries, reachable_binaries
from server.local.postgres_cluster import (
    SUPERUSER,
    check_version,
    initialise,
    set_password,
    socket_dir,
    write_configuration,
)
from server.local.postgres_process import forget_dead_owner, launch, over, postmaster

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from server.local.home import Home
    from server.secrets import Secret

__all__ = ["PostgresBinaries", "PostgresServer", "find_binaries", "prepare", "socket_dir", "start", "stop"]

READY_SECONDS = 60.0  # a crash recovery replays the log before it accepts anybody
STOP_SECONDS = 20.0
POLL_SECONDS = 0.01
ORPHAN_SECONDS = 15.0
ORPHAN_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class PostgresServer:
    """How to reach a running cluster. TCP asks for SCRAM, the socket for a cleartext password."""

    host: str
    port: int
    superuser: str
    password: Secret
    major: int
    socket_dir: Path


async def prepare(home: Home, binaries: PostgresBinaries, report: Callable[[str], None]) -> None:
    """Have reachable binaries and an initialised cluster; returns at once when both are there.

    The superuser has no password yet, so nobody can log in before `start` sets one.
    Raises StackError when initdb cannot do its work, or another major version made the cluster.
    """
    home.make()
    if os.geteuid() == 0:  # a narrow umask must not shut out the identity the database runs as
        for folder in (home.stack.parent, home.stack):
            folder.chmod(0o755)
    home.postgres.mkdir(exist_ok=True)
    home.postgres.chmod(0o755)
    usable = await asyncio.to_thread(reachable_binaries, home, binaries, report)
    if not (home.postgres / "data").exists():
        report("Initialising PostgreSQL")
        await asyncio.to_thread(initialise, home, usable)
    check_version(home, usable)


async def start(home: Home, binaries: PostgresBinaries, port: int, password: Secret) -> int:
    """Serve on localhost:`port` and return the pid, ready to accept; adopts a cluster already running there.

    The superuser's password becomes `password`, whatever it was (a lost stack file is not a lost cluster).
    Raises StackError when the port is taken or the server does not come up.
    """
    usable = await asyncio.to_thread(reachable_binaries, home, binaries, lambda _: None)
    running = postmaster(home)
    if running is not None and (running.port != port or not await _accepts(home, port, password)):
        await stop(home, binaries)
        running = None
    if running is not None:
        return running.pid
    _refuse_taken_port(port)
    write_configuration(home, port)
    child = await _start_up(home, usable, port, password)
    if child is None:
        await asyncio.to_thread(set_password, home, usable, password)
        child = await _start_up(home, usable, port, password)
    if child is None:
        raise _not_up(home, "it does not take the password it was given")
    return child


async def _start_up(home: Home, binaries: PostgresBinaries, port: int, password: Secret) -> int | None:
    """The pid once it takes `password`; None, and stopped again, when it takes another."""
    until = time.monotonic() + ORPHAN_SECONDS if forget_dead_owner(home) else 0.0
    while True:
        child = launch(home, binaries)
        try:
            if await _ready(home, port, password, child):
                return child.pid
        except StackError:
            # Children of a killed server hold its memory until they notice, and PostgreSQL rightly waits for none.
            if time.monotonic() > until:
                raise
            await asyncio.sleep(ORPHAN_POLL_SECONDS)
        else:
            await stop(home, binaries)
            return None


async def stop(home: Home, binaries: PostgresBinaries) -> None:
    """Fast shutdown: clients are disconnected, nothing is lost. Calling it twice is fine."""
    running = postmaster(home)
    if running is None:
        return
    for kind in (signal.SIGINT, signal.SIGQUIT):
        with suppress(ProcessLookupError):
            os.kill(running.pid, kind)
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until:
            if over(running.pid):
                return
            await asyncio.sleep(POLL_SECONDS)
    raise StackError(
        "PostgreSQL does not stop.", next_action=f"Look at {home.logs / 'postgres.log'}, then end it by hand."
    )


async def _ready(home: Home, port: int, password: Secret, child: subprocess.Popen[Any]) -> bool:
    """True once it takes `password`, False when it is up and does not. Raises StackError when it is not up."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if child.poll() is not None:
            raise _not_up(home, f"it ended with code {child.returncode}")
        try:
            return await _connects(port, password)
        except psycopg.OperationalError:
            await asyncio.sleep(POLL_SECONDS)
    raise _not_up(home, f"it did not accept connections within {READY_SECONDS:.0f} s")


async def _accepts(home: Home, port: int, password: Secret) -> bool:
    try:
        return await _connects(port, password)
    except psycopg.OperationalError:
        return False


async def _connects(port: int, password: Secret) -> bool:
    """Whether the superuser may log in; raises OperationalError while nobody can."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            host="127.0.0.1",
            port=port,
            user=SUPERUSER,
            password=password.reveal(),
            dbname="postgres",
            sslmode="disable",
            connect_timeout=5,
        )
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            return False
        raise
    await connection.close()
    return True


def _refuse_taken_port(port: int) -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StackError(
                    f"Port {port}, which PostgreSQL was to use, is taken by another program.",
                    next_action="End that program, or let another port be chosen by starting again.",
                    code="port_taken",
                ) from None


def _not_up(home: Home, why: str) -> StackError:
    return StackError(
        f"PostgreSQL did not start: {why}.", next_action=f"Its own words are in {home.logs / 'postgres.log'}."
    )
