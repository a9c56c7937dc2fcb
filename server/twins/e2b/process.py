"""envd's `process.Process` service: commands in a sandbox, their output as it comes, their input and their end."""

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

from server.errors import StackError
from server.twins.e2b import guest as guests
from server.twins.e2b.errors import Died, FileTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.twins.e2b.guest import Child, Guest

CHUNK = 32768
EVENTS_AHEAD = 16
"""Chunks of output that wait for a slow listener. Then the process waits, so no flood fills our memory."""

KEEP_ALIVE = 25.0
LISTENER_LIMIT = 300.0
"""Seconds a listener may take for one chunk before the process goes on without it."""


@dataclass
class Process:
    """A running command and whoever listens to it."""

    child: Child
    config: pb.ProcessConfig
    tag: str | None
    listeners: set[asyncio.Queue[pb.ProcessEvent]] = field(default_factory=set[asyncio.Queue[pb.ProcessEvent]])
    task: asyncio.Task[None] | None = None

    async def pump(self) -> None:
        """Hand output to the listeners until every writer has closed it, then tell the end."""
        out = "pty" if self.child.terminal is not None else "stdout"
        await asyncio.gather(self._copy(self.child.stdout, out), self._copy(self.child.stderr, "stderr"))
        status = await self.child.exited
        await self._tell(_end(status))
        guests.close(self.child)

    async def _copy(self, reader: asyncio.StreamReader | None, name: str) -> None:
        with contextlib.suppress(OSError):  # a terminal's way to say it is over
            while reader is not None and (data := await reader.read(CHUNK)):
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


def _end(status: int) -> pb.ProcessEvent:
    """As Go's `os/exec` puts it, which is what envd passes on: a killed process has the exit code -1."""
    if status < 0:
        said = f"signal: {signal.Signals(-status).name.removeprefix('SIG').lower()}"
        if -status == signal.SIGKILL:
            said = "signal: killed"
        end = pb.ProcessEvent.EndEvent(exit_code=-1, exited=False, status=said, error=said)
    else:
        said = f"exit status {status}"
        end = pb.ProcessEvent.EndEvent(exit_code=status, exited=True, status=said, error=said if status else None)
    return pb.ProcessEvent(event=Oneof("end", end))


class Processes:
    """The commands of one sandbox."""

    def __init__(self, guest: Guest, environment: dict[str, str], workdir: str) -> None:
        self._guest = guest
        self._environment = environment
        self._workdir = workdir
        self._running: dict[int, Process] = {}

    async def start(
        self,
        config: pb.ProcessConfig,
        *,
        tag: str | None = None,
        stdin: bool = False,
        terminal: tuple[int, int] | None = None,
    ) -> Process:
        cwd = config.cwd if config.has_field("cwd") and config.cwd else self._workdir
        env = {**self._environment, **dict(config.envs)}
        try:
            child = await self._guest.run([config.cmd, *config.args], env=env, cwd=cwd, stdin=stdin, terminal=terminal)
        except FileTrouble as trouble:
            if str(trouble) == cwd:
                raise ConnectError(Code.INVALID_ARGUMENT, f"cwd '{cwd}' does not exist") from None
            raise ConnectError(Code.INVALID_ARGUMENT, f"error starting process: {trouble.name}") from None
        process = self._running[child.pid] = Process(child, config, tag)
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
        raise ConnectError(Code.NOT_FOUND, "process not found")

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


class ProcessService:
    """The service on the wire. `find` gives a request's sandbox, or raises what envd would."""

    def __init__(self, find: Callable[[Any], Awaitable[Processes]]) -> None:
        self._find = find

    async def list(self, request: pb.ListRequest, ctx: Any) -> pb.ListResponse:
        running = (await self._find(ctx)).list()
        return pb.ListResponse(
            processes=[pb.ProcessInfo(config=each.config, pid=each.child.pid, tag=each.tag) for each in running]
        )

    async def start(self, request: pb.StartRequest, ctx: Any) -> AsyncIterator[pb.StartResponse]:
        processes = await self._find(ctx)
        try:
            process = await _begin(processes, request)
        except Died:
            processes = await self._find(ctx)
            process = await _begin(processes, request)
        queue = process.listen()
        processes.follow(process)
        async for event in _events(process, queue, processes, _budget(ctx), kill=True):
            yield pb.StartResponse(event=event)

    async def connect(self, request: pb.ConnectRequest, ctx: Any) -> AsyncIterator[pb.ConnectResponse]:
        processes = await self._find(ctx)
        process = processes.select(request.process)
        async for event in _events(process, process.listen(), processes, _budget(ctx), kill=False):
            yield pb.ConnectResponse(event=event)

    async def send_input(self, request: pb.SendInputRequest, ctx: Any) -> pb.SendInputResponse:
        process = (await self._find(ctx)).select(request.process)
        await _feed(process, request.input)
        return pb.SendInputResponse()

    async def stream_input(self, request: AsyncIterator[pb.StreamInputRequest], ctx: Any) -> pb.StreamInputResponse:
        processes = await self._find(ctx)
        process: Process | None = None
        async for message in request:
            match message.event:
                case Oneof(field="start", value=start):
                    process = processes.select(start.process)
                case Oneof(field="data", value=data) if process is not None:
                    await _feed(process, data.input)
                case _:
                    pass
        return pb.StreamInputResponse()

    async def close_stdin(self, request: pb.CloseStdinRequest, ctx: Any) -> pb.CloseStdinResponse:
        guests.close((await self._find(ctx)).select(request.process).child)
        return pb.CloseStdinResponse()

    async def send_signal(self, request: pb.SendSignalRequest, ctx: Any) -> pb.SendSignalResponse:
        processes = await self._find(ctx)
        await processes.signal(processes.select(request.process), int(request.signal))
        return pb.SendSignalResponse()

    async def update(self, request: pb.UpdateRequest, ctx: Any) -> pb.UpdateResponse:
        process = (await self._find(ctx)).select(request.process)
        size = request.pty.size if request.pty else None
        if process.child.terminal is not None and size is not None:
            guests.resize(process.child.terminal, size.cols, size.rows)
        return pb.UpdateResponse()


async def _begin(processes: Processes, request: pb.StartRequest) -> Process:
    size = request.pty.size if request.has_field("pty") and request.pty else None
    try:
        return await processes.start(
            request.process or pb.ProcessConfig(),
            tag=request.tag if request.has_field("tag") else None,
            stdin=request.stdin if request.has_field("stdin") else True,
            terminal=(size.cols, size.rows) if size else None,
        )
    except Died:
        raise
    except (StackError, TimeoutError) as error:
        raise ConnectError(Code.INTERNAL, str(error) or "the sandbox did not answer") from None


def _budget(ctx: Any) -> float | None:
    milliseconds: float | None = ctx.timeout_ms
    return None if milliseconds is None else asyncio.get_running_loop().time() + milliseconds / 1000


async def _events(
    process: Process, queue: asyncio.Queue[pb.ProcessEvent], processes: Processes, deadline: float | None, *, kill: bool
) -> AsyncIterator[pb.ProcessEvent]:
    """A listener's stream. When its time is over the process it started is killed, as in envd."""
    loop = asyncio.get_running_loop()
    try:
        yield pb.ProcessEvent(event=Oneof("start", pb.ProcessEvent.StartEvent(pid=process.child.pid)))
        while True:
            patience = KEEP_ALIVE if deadline is None else min(KEEP_ALIVE, deadline - loop.time())
            try:
                async with asyncio.timeout(max(patience, 0)):
                    event = await queue.get()
            except TimeoutError:
                if deadline is not None and loop.time() >= deadline:
                    if kill:
                        await processes.signal(process, signal.SIGKILL)
                    raise ConnectError(Code.DEADLINE_EXCEEDED, "the command took longer than its timeout") from None
                event = pb.ProcessEvent(event=Oneof("keepalive", pb.ProcessEvent.KeepAlive()))
            if event.event is None:
                raise ConnectError(Code.UNAVAILABLE, "the connection to the sandbox ended before the stream completed")
            yield event
            if event.event.field == "end":
                return
    finally:
        process.leave(queue)


async def _feed(process: Process, data: pb.ProcessInput | None) -> None:
    chosen = data.input if data is not None else None
    if process.child.stdin is None or chosen is None:
        raise ConnectError(Code.FAILED_PRECONDITION, "stdin is not open")
    waiting = memoryview(bytes(chosen.value))
    while waiting:
        try:
            waiting = waiting[process.child.feed(waiting) :]
        except BlockingIOError:
            await asyncio.sleep(0.01)  # the process is slow to read
        except OSError:
            raise ConnectError(Code.FAILED_PRECONDITION, "the process does not read its stdin") from None
