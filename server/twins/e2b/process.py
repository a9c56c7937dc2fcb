"""The commands of a sandbox: started, listened to, fed, signalled, ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb
from protobuf import Oneof

from server.twins.e2b import guest as guests
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.e2b.guest import Child, Guest

CHUNK = 32768
EVENTS_AHEAD = 16
"""Chunks of output that wait for a slow listener. Then the process waits, so no flood fills our memory."""

LISTENER_LIMIT = 300.0
"""Seconds a listener may take for one chunk before the process goes on without it."""


@dataclass
class Process:
    """A running command and whoever listens to it."""

    child: Child
    config: pb.ProcessConfig
    tag: str | None
    log: Callable[[], Log]
    listeners: set[asyncio.Queue[pb.ProcessEvent]] = field(default_factory=set[asyncio.Queue[pb.ProcessEvent]])
    task: asyncio.Task[None] | None = None

    async def pump(self) -> None:
        """Hand output to the listeners until every writer has closed it, then tell the end."""
        out = "pty" if self.child.terminal is not None else "stdout"
        await asyncio.gather(self._copy(self.child.stdout, out), self._copy(self.child.stderr, "stderr"))
        status = await self.child.exited
        if notice := self.child.notice():
            await self._output("pty" if out == "pty" else "stderr", notice.encode())
        end = _end(status)
        self.log().add("info", f"Process {self.child.pid} ended: {end.status}", pid=str(self.child.pid))
        await self._tell(pb.ProcessEvent(event=Oneof("end", end)))
        guests.close(self.child)

    async def _copy(self, reader: asyncio.StreamReader | None, name: str) -> None:
        with contextlib.suppress(OSError):  # a terminal's way to say it is over
            while reader is not None and (data := await reader.read(CHUNK)):
                await self._output(name, data)

    async def _output(self, name: str, data: bytes) -> None:
        self.log().output("error" if name == "stderr" else "info", data, self.child.pid)
        event: Any = Oneof(name, data)
        await self._tell(pb.ProcessEvent(event=Oneof("data", pb.ProcessEvent.DataEvent(output=event))))

    async def _tell(self, event: pb.ProcessEvent) -> None:
        for listener in [*self.listeners]:
            try:
                async with asyncio.timeout(LISTENER_LIMIT):
                    await listener.put(event)
            except TimeoutError:
                self.listeners.discard(listener)

    def listen(self) -> asyncio.Queue[pb.ProcessEvent]:
        queue: asyncio.Queue[pb.ProcessEvent] = asyncio.Queue(EVENTS_AHEAD)
        self.listeners.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[pb.ProcessEvent]) -> None:
        self.listeners.discard(queue)
        while not queue.empty():  # whoever waits to put something there goes on
            queue.get_nowait()

    async def feed(self, data: pb.ProcessInput | None) -> None:
        """Write to its standard input or its terminal, as fast as it reads."""
        chosen = data.input if data is not None else None
        if chosen is None:
            raise ConnectError(Code.UNIMPLEMENTED, "invalid input type")
        if (chosen.field == "pty") != (self.child.terminal is not None):
            said = "tty not assigned to process" if chosen.field == "pty" else "stdin not supported for a tty"
            raise ConnectError(Code.FAILED_PRECONDITION, said)
        waiting = memoryview(bytes(chosen.value))
        while waiting:
            try:
                waiting = waiting[self.child.feed(waiting) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)  # the process is slow to read
            except OSError:
                raise ConnectError(Code.FAILED_PRECONDITION, "stdin is not open") from None


def _end(status: int) -> pb.ProcessEvent.EndEvent:
    """As Go's `os/exec` puts it, which is what envd passes on: a killed process has the exit code -1."""
    if status >= 0:
        said = f"exit status {status}"
        return pb.ProcessEvent.EndEvent(exit_code=status, exited=True, status=said, error=said if status else None)
    said = f"signal: {signal.Signals(-status).name.removeprefix('SIG').lower()}"
    if -status == signal.SIGKILL:
        said = "signal: killed"
    return pb.ProcessEvent.EndEvent(exit_code=-1, exited=False, status=said, error=said)


class Processes:
    """The commands of one sandbox."""

    def __init__(self, guest: Guest, environment: dict[str, str], workdir: str) -> None:
        self._guest = guest
        self.environment = environment
        self._workdir = workdir
        self._running: dict[int, Process] = {}
        self.log = Log()

    async def start(
        self,
        config: pb.ProcessConfig,
        *,
        tag: str | None = None,
        stdin: bool = False,
        terminal: tuple[int, int] | None = None,
    ) -> Process:
        cwd = config.cwd if config.has_field("cwd") and config.cwd else self._workdir
        env = {**self.environment, **dict(config.envs)}
        try:
            child = await self._guest.run([config.cmd, *config.args], env=env, cwd=cwd, stdin=stdin, terminal=terminal)
        except FileTrouble as trouble:
            if str(trouble) == cwd:
                raise ConnectError(Code.INVALID_ARGUMENT, f"cwd '{cwd}' does not exist") from None
            raise ConnectError(Code.INVALID_ARGUMENT, f"error starting process: {trouble.name}") from None
        self.log.add("info", f"Process {child.pid} started: {config.cmd}", pid=str(child.pid), tag=tag or "")
        process = self._running[child.pid] = Process(child, config, tag, lambda: self.log)
        return process

    def follow(self, process: Process) -> None:
        """Begin to read its output. Called once its first listener listens, so that nothing is missed."""
        process.task = asyncio.create_task(process.pump())
        process.task.add_done_callback(lambda _: self._running.pop(process.child.pid, None))

    def list(self) -> list[Process]:
        return [*self._running.values()]

    def select(self, selector: pb.ProcessSelector | None) -> Process:
        which = selector.selector if selector is not None else None
        for pid, process in self._running.items():
            if which is not None and which.value == (pid if which.field == "pid" else process.tag):
                return process
        raise ConnectError(Code.NOT_FOUND, f"process with {which.field if which else 'pid'} "
                           f"{which.value if which else 0} not found")  # fmt: skip

    async def signal(self, process: Process, number: int) -> None:
        await self._guest.signal(process.child, number)

    def stop(self) -> None:
        """The sandbox is gone: end every stream."""
        for process in self._running.values():
            if process.task is not None:
                process.task.cancel()
            for listener in [*process.listeners]:
                process.leave(listener)
                listener.put_nowait(pb.ProcessEvent())  # an empty event: the stream was cut
            guests.close(process.child)
        self._running.clear()
