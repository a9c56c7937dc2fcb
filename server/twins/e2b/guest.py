"""The twin's end of the supervisor: sandboxes to start, run commands in, open sockets in and take down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b import wire
from server.twins.e2b.errors import Died, FileTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from server.local.identity import Identity

REQUEST_LIMIT = 15.0
"""Seconds for one answer of the supervisor, or of a sandbox's own file system."""

LIMITS = {"NPROC": 1024, "FSIZE": 2 << 30, "CORE": 0}
"""Resource limits of every process in a sandbox."""

DIAL_LIMIT = 5.0
SPARE_SOCKETS = 8
READ_AHEAD = 256 << 10
"""Bytes of a process's output held for a slow reader; past that the process waits."""


@dataclass
class Child:
    """A process in a sandbox. `pid` is its number there, `host_pid` ours."""

    pid: int
    host_pid: int
    exited: asyncio.Future[int]
    """Resolves to the exit status, negative for a signal."""
    stdin: int | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None
    terminal: int | None = None

    def feed(self, data: memoryview) -> int:
        """Write to its standard input; how much was taken. Raises `OSError` when it is closed, by it or by us."""
        if self.stdin is None:
            raise BrokenPipeError
        return os.write(self.stdin, data)


class Supervisor:
    """The supervisor process and the channel to it."""

    def __init__(self, identity: Identity, pid_file: Path, on_gone: Callable[[str], None]) -> None:
        self._identity = identity
        self._pid_file = pid_file
        self._on_gone = on_gone
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._next = 0
        self._sending = asyncio.Lock()

    def start(self) -> None:
        ours, theirs = wire.pair()
        uid = os.getuid() if self._identity.uid is None else self._identity.uid
        gid = os.getgid() if self._identity.gid is None else self._identity.gid
        command = [sys.executable, "-P", "-m", "server.twins.e2b.supervisor"]
        self._process = subprocess.Popen(
            [*command, str(theirs.fileno()), str(uid), str(gid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C in a terminal is for the twin, which then takes this down in order
        )
        theirs.close()
        ours.setblocking(False)
        self._channel = ours
        self._pid_file.write_text(str(self._process.pid))
        asyncio.get_running_loop().add_reader(ours, self._read)

    @property
    def running(self) -> bool:
        return self._channel is not None

    async def stop(self) -> None:
        """Close the channel: the supervisor kills every sandbox and ends."""
        self._lost()
        if self._process is not None:
            try:
                await asyncio.wait_for(asyncio.to_thread(self._process.wait), 10)
            except TimeoutError:
                self._process.kill()
            self._pid_file.unlink(missing_ok=True)

    async def request(self, op: str, files: list[int] | None = None, **message: Any) -> dict[str, Any]:
        """One question, one answer. Raises `StackError` when the supervisor says no or is gone."""
        self._next += 1
        number = self._next
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(REQUEST_LIMIT):
                await self._send({"op": op, "id": number, **message}, files)
                reply = await answer
        except (OSError, TimeoutError) as error:
            raise StackError(f"The sandbox supervisor did not answer ({type(error).__name__}).") from error
        finally:
            self._waiting.pop(number, None)
        if reply.get("error") == "gone":
            raise Died("The sandbox has died.", next_action="Try again: it comes up with its files.")
        if problem := reply.get("error"):
            raise StackError(f"The sandbox supervisor could not {op}: {problem}")
        return reply

    async def call(
        self,
        box: str,
        within: str,
        function: str,
        *,
        given: Sequence[int] = (),
        seconds: float = REQUEST_LIMIT,
        **arguments: Any,
    ) -> tuple[Any, list[int]]:
        """Run one of `inside`'s functions; the open files `given` go with it. Raises `FileTrouble` with the errno it met."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            try:
                await self.request(
                    "call", [theirs.fileno(), *given], box=box, within=within, function=function, arguments=arguments
                )
            finally:
                theirs.close()
            async with asyncio.timeout(seconds):
                return await _collect(ours)
        except TimeoutError:
            raise FileTrouble("ETIMEDOUT", "the sandbox did not answer") from None
        finally:
            ours.close()

    async def _send(self, message: dict[str, Any], files: list[int] | None) -> None:
        async with self._sending:
            while True:
                if self._channel is None:
                    raise ConnectionResetError("the supervisor is gone")
                try:
                    wire.send(self._channel, message, files)
                except BlockingIOError:
                    await asyncio.sleep(0.002)  # it forks for a living and is soon back
                else:
                    return

    def _read(self) -> None:
        assert self._channel is not None  # noqa: S101 - the reader is removed with the channel
        try:
            message, _ = wire.receive(self._channel)
        except BlockingIOError:
            return
        except OSError:
            message = None
        if message is None:
            self._lost()
        elif "reply" in message:
            if "pid" in message:
                # Made here, for the news of its end may be the very next message.
                message["exited"] = self._exits[message["pid"]] = asyncio.get_running_loop().create_future()
            if (waiting := self._waiting.get(message["reply"])) and not waiting.done():
                waiting.set_result(message)
        elif "exit" in message:
            if (ended := self._exits.pop(message["exit"], None)) and not ended.done():
                ended.set_result(message["status"])
        else:
            self._on_gone(message["gone"])

    def _lost(self) -> None:
        if self._channel is None:
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the supervisor is gone"))
        for ended in self._exits.values():
            if not ended.done():
                ended.set_result(-signal.SIGKILL)
        self._exits.clear()
        self._on_gone("")


async def _collect(channel: socket.socket) -> tuple[Any, list[int]]:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(channel, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(channel)
    first, files = wire.take(channel, 65536)
    data = bytearray(first)
    while chunk := await loop.sock_recv(channel, 65536):
        data += chunk
    reply = json.loads(data) if data else {"error": "EIO", "message": "the sandbox could not be entered"}
    if name := reply.get("error"):
        raise FileTrouble(name, reply["message"])
    return reply["ok"], files


@dataclass
class Guest:
    """One sandbox that is up."""

    name: str
    supervisor: Supervisor
    ports: Mapping[int, int] = field(default_factory=dict[int, int])
    """Where its ports are when it has no network of its own (the weak tier)."""
    own_network: bool = True
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    _spare: deque[socket.socket] = field(default_factory=deque[socket.socket])

    async def run(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        stdin: bool = False,
        terminal: tuple[int, int] | None = None,
    ) -> Child:
        """Start a process. Raises `FileTrouble`: `ENOENT` about its folder or its program."""
        report, report_end = os.pipe()
        ends, theirs = _standard(stdin=stdin, terminal=terminal)
        job = {
            "argv": argv,
            "env": dict(env),
            "cwd": cwd,
            "limits": dict(self.limits),
            "terminal": terminal is not None,
        }
        reader = await _reader(report)
        try:
            try:
                reply = await self.supervisor.request("run", [report_end, *theirs], box=self.name, **job)
            finally:
                for opened in (report_end, *theirs):
                    os.close(opened)
            async with asyncio.timeout(REQUEST_LIMIT):
                lines = (await reader.read()).splitlines()
        except BaseException:
            for opened in ends:
                if opened is not None:
                    os.close(opened)
            raise
        into, out, problems = ends
        said = {key: value for line in lines for key, value in json.loads(line).items()}
        child = Child(
            pid=said.get("pid", 0),
            host_pid=reply["pid"],
            exited=reply["exited"],
            stdin=into,
            stdout=await _reader(out),
            stderr=None if problems is None else await _reader(problems),
            terminal=into if terminal else None,
        )
        if "error" in said or not said:
            close(child)
            raise FileTrouble(said.get("error", "EIO"), said.get("about", "the sandbox is gone"))
        return child

    async def signal(self, child: Child, number: int) -> None:
        await self.supervisor.request("signal", pid=child.host_pid, signal=number)

    async def call(self, function: str, **arguments: Any) -> tuple[Any, list[int]]:
        return await self.supervisor.call(self.name, "files", function, **arguments)

    async def dial(self, port: int) -> socket.socket:
        """A connected socket to what listens on the sandbox's loopback. Raises `OSError` when nothing does."""
        sock = await self._socket() if self.own_network else socket.socket()
        sock.setblocking(False)
        address = ("127.0.0.1", port if self.own_network else self.ports.get(port, port))
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _socket(self) -> socket.socket:
        if not self._spare:
            _, files = await self.supervisor.call(self.name, "network", "sockets", count=SPARE_SOCKETS)
            self._spare.extend(socket.socket(fileno=opened) for opened in files)
        return self._spare.popleft()

    async def listen(self, ports: list[int]) -> list[socket.socket]:
        """Listening sockets on the sandbox's loopback, accepted from by us."""
        _, files = await self.supervisor.call(self.name, "network", "listeners", ports=ports)
        return [socket.socket(fileno=opened) for opened in files]

    async def freeze(self) -> None:
        await self.supervisor.call(self.name, "processes", "signal_all", number=int(signal.SIGSTOP))

    async def thaw(self) -> None:
        await self.supervisor.call(self.name, "processes", "signal_all", number=int(signal.SIGCONT))

    async def kill(self) -> None:
        for sock in self._spare:
            sock.close()
        self._spare.clear()
        with contextlib.suppress(StackError):  # the supervisor gone means the sandbox is, too
            await self.supervisor.request("kill", box=self.name)


def _standard(*, stdin: bool, terminal: tuple[int, int] | None) -> tuple[tuple[int | None, int, int | None], list[int]]:
    """Our ends of a process's standard files, and its own."""
    if terminal is not None:
        ours, theirs = os.openpty()
        resize(ours, *terminal)
        return (ours, os.dup(ours), None), [theirs, os.dup(theirs), os.dup(theirs)]
    into: int | None = None
    source = os.open(os.devnull, os.O_RDONLY)
    if stdin:
        os.close(source)
        source, into = os.pipe()
        os.set_blocking(into, False)
    out, out_end = os.pipe()
    problems, problems_end = os.pipe()
    return (into, out, problems), [source, out_end, problems_end]


def resize(terminal: int, columns: int, rows: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def _reader(opened: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=READ_AHEAD)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(opened, "rb", 0))
    return reader


def close(child: Child) -> None:
    """Close a process's standard input; its outputs close themselves at their end."""
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            os.close(child.stdin)
        child.stdin = None
