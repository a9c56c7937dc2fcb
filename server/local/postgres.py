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
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from server.errors import StackError
from server.local.identity import database_identity
from server.local.postgres_binaries import PostgresBinaries, find_binaries, reachable_binaries
from server.local.postgres_cluster import (
    ENVIRONMENT,
    SUPERUSER,
    check_version,
    initialise,
    set_password,
    socket_dir,
    write_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server.local.home import Home
    from server.secrets import Secret

__all__ = ["PostgresBinaries", "PostgresServer", "find_binaries", "prepare", "socket_dir", "start", "stop"]

READY_SECONDS = 60.0  # a crash recovery replays the log before it accepts anybody
STOP_SECONDS = 20.0
POLL_SECONDS = 0.01
LARGEST_LOG = 5_000_000


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
    running = _postmaster(home)
    if running is not None and (running.port != port or not await _accepts(home, port, password)):
        await stop(home, binaries)
        running = None
    if running is not None:
        return running.pid
    (home.postgres / "data" / "postmaster.pid").unlink(missing_ok=True)
    _refuse_taken_port(port)
    write_configuration(home, port)
    child = _launch(home, usable)
    if not await _ready(home, port, password, child):
        await stop(home, binaries)
        await asyncio.to_thread(set_password, home, usable, password)
        child = _launch(home, usable)
        if not await _ready(home, port, password, child):
            raise _not_up(home, "it does not take the password it was given")
    return child.pid


async def stop(home: Home, binaries: PostgresBinaries) -> None:
    """Fast shutdown: clients are disconnected, nothing is lost. Calling it twice is fine."""
    running = _postmaster(home)
    if running is None:
        return
    for kind, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, STOP_SECONDS)):
        try:
            os.kill(running.pid, kind)
        except ProcessLookupError:
            return
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not _alive(running.pid, home):
                return
            await asyncio.sleep(POLL_SECONDS)
    raise StackError(
        "PostgreSQL does not stop.", next_action=f"Look at {home.logs / 'postgres.log'}, then end it by hand."
    )


@dataclass(frozen=True)
class _Postmaster:
    pid: int
    port: int


def _postmaster(home: Home) -> _Postmaster | None:
    """The live server of this home, from its pid file; a pid some other program has by now is not one."""
    try:
        lines = (home.postgres / "data" / "postmaster.pid").read_text().splitlines()
        found = _Postmaster(int(lines[0]), int(lines[3]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return found if _alive(found.pid, home) else None


def _alive(pid: int, home: Home) -> bool:
    import psutil

    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child stays a zombie until somebody asks
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(home.postgres / "data") in process.cmdline()
    except psutil.Error:
        return False


def _launch(home: Home, binaries: PostgresBinaries) -> subprocess.Popen[Any]:
    """A new session, so it outlives us; its log is opened here because it may not write to our folder."""
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "postgres.log"
    mode = "wb" if log.exists() and log.stat().st_size > LARGEST_LOG else "ab"
    command = [binaries.bin / "postgres", "-D", home.postgres / "data"]
    command += ["-c", f"config_file={home.postgres / 'etc' / 'postgresql.conf'}"]
    with log.open(mode) as output:
        log.chmod(0o600)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=ENVIRONMENT,
            **database_identity().spawn(),
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
