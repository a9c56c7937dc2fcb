"""Finds the background server of this home, or starts it and waits until it can be used."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agent_loop.cli.client import Client, Unreachable
from agent_loop.environment import changed
from server.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from server.local.home import Home

START_SECONDS = 900.0  # the first start installs the template; on a slow line that takes minutes
ANSWER_SECONDS = 60.0
POLL_SECONDS = 0.03
USUAL_PORT = 3000
ATTEMPTS = 3  # a server may be killed, or ended by another command, just as it is found


def find(home: Home) -> dict[str, Any] | None:
    """The running server's own file, or None. A server is running exactly while it holds its lock."""
    if not _held(home):
        return None
    return remembered(home)


def remembered(home: Home) -> dict[str, Any]:
    """What the last server wrote of itself; empty before the first."""
    try:
        told = json.loads(home.server_file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON


def client_of(server: dict[str, Any]) -> Client:
    return Client(server["port"], server.get("token", ""))


def ensure(
    home: Home,
    environ: Mapping[str, str],
    *,
    tell: Callable[[dict[str, Any]], None],
    say: Callable[[str], None],
    port: int | None = None,
) -> Client:
    """A ready server. `tell` is given each step of its start-up as it changes. Raises `StackError`."""
    home.make()
    for _ in range(ATTEMPTS):
        with _starting(home, say):
            server = _usable(home, environ, say, port) or _started(home, environ, say, port)
        if _await_ready(home, server, tell):
            return client_of(server)
    raise StackError("The server ends as soon as it starts.", next_action=f"See {home.logs / 'server.log'}.")


def _usable(
    home: Home, environ: Mapping[str, str], say: Callable[[str], None], port: int | None
) -> dict[str, Any] | None:
    """The running server, unless it lacks a setting that is made here: then it is ended."""
    server = _found(home)
    if server is None:
        return None
    if names := changed(environ, server.get("environment", {})):
        say(f"{', '.join(names)}: set here and new to the server, which starts again with it.")
        stop(home, server)
        return None
    if port is not None and server["port"] != port:
        raise StackError(
            f"The server is running at port {server['port']}, not {port}.",
            next_action="Stop it with `mk0r down` first, or leave the port out.",
            code="port_taken",
        )
    return server


def _started(home: Home, environ: Mapping[str, str], say: Callable[[str], None], port: int | None) -> dict[str, Any]:
    told = _spawn(home, environ, port)
    if port is None and told["port"] != USUAL_PORT:
        say(f"The server listens at http://127.0.0.1:{told['port']}.")
    return _found(home) or told


def stop(home: Home, server: dict[str, Any]) -> None:
    """End the server process and wait until it is gone. What it was doing is continued by the next one."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(server["pid"], kind)
        except (ProcessLookupError, KeyError):
            return
        if gone(home):
            return
    raise StackError("The server does not stop.", next_action=f"End process {server['pid']} by hand.")


def gone(home: Home, *, seconds: float = 30.0) -> bool:
    """Whether the server is gone, or goes within `seconds`."""
    end = time.monotonic() + seconds
    while _held(home):
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _found(home: Home) -> dict[str, Any] | None:
    """The running server once it has said where it is: between its lock and its file lie a few milliseconds."""
    end = time.monotonic() + ANSWER_SECONDS
    while _held(home):
        server = remembered(home)
        if "pid" in server and "token" in server and _is(server["pid"]):
            return server
        if time.monotonic() > end:
            raise StackError("A server is starting and says nothing.", next_action=f"See {home.logs / 'server.log'}.")
        time.sleep(POLL_SECONDS)
    return None


def _spawn(home: Home, environ: Mapping[str, str], port: int | None) -> dict[str, Any]:
    """Start the server apart from us; answers when it listens. Raises `StackError` with its own sentence."""
    command = [sys.executable, "-P", "-m", "agent_loop.web", "--home", str(home.root)]
    if port is not None:
        command += ["--port", str(port)]
    with (home.logs / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=home.root,
            env=dict(environ),
            start_new_session=True,
        )
    with process.stdout:  # pyright: ignore[reportOptionalContextManager] - it is a pipe
        line = process.stdout.readline()  # pyright: ignore[reportOptionalMemberAccess] - it is a pipe
    process.returncode = 0  # it is on its own now: nobody here waits for it
    try:
        told = json.loads(line)
    except ValueError:
        raise StackError(
            "The server did not start.", next_action=f"Its own words are in {home.logs / 'server.log'}."
        ) from None
    if error := told.get("error"):
        raise _stack_error(error)
    return told


def _await_ready(home: Home, server: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> bool:
    """Wait for this very server; False when it was gone before it was ready and left no word why."""
    client = client_of(server)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            stack = client.get("/api/stack", seconds=ANSWER_SECONDS)
        except Unreachable:
            left = remembered(home)
            if error := left.get("error"):
                raise _stack_error(error) from None
            if left.get("pid") != server["pid"] or not _held(home):
                return False
            time.sleep(POLL_SECONDS)
            continue
        for step in stack["steps"]:
            tell(step)
        if stack["error"]:
            raise _stack_error(stack["error"])
        if stack["ready"]:
            return True
        time.sleep(POLL_SECONDS)
    raise StackError("The local stack took too long to start.", next_action="See `mk0r doctor`.")


def _stack_error(error: dict[str, Any]) -> StackError:
    return StackError(error["message"], next_action=error.get("next_action", ""), code=error.get("code"))


def _held(home: Home) -> bool:
    """Whether a server holds the home's lock; the kernel lets go of it with the process."""
    try:
        descriptor = os.open(home.root / "server.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _is(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _starting(home: Home, say: Callable[[str], None]) -> Generator[None]:
    """One command at a time looks for the server and starts it; the others wait and find it."""
    descriptor = os.open(home.root / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        began, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > 1 and not told:
                    told = True
                    say("Another mk0r is starting the server; waiting for it.")
                if waited > ANSWER_SECONDS:
                    raise StackError(
                        "Another mk0r has been starting the server for a minute.",
                        next_action="End it, or see `mk0r doctor`.",
                    ) from None
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
