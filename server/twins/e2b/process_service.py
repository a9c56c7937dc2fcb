"""envd's `process.Process` service: a sandbox's commands on the wire, their output as it comes."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb
from protobuf import Oneof

from server.errors import StackError
from server.twins.e2b import guest as guests
from server.twins.e2b.errors import Died

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.twins.e2b.process import Process, Processes

KEEP_ALIVE = 90.0
"""Seconds between two signs of life on a silent stream, where the client asks for none (envd's default)."""


def keep_alive(ctx: Any) -> float:
    """How long this stream may be silent: what `Keepalive-Ping-Interval` says, in seconds."""
    given = ctx.request_headers.get("keepalive-ping-interval", "")
    return float(given) if given.isdigit() and int(given) > 0 else KEEP_ALIVE


def budget(ctx: Any) -> float | None:
    """When the request's own time is over, by the loop's clock (`Connect-Timeout-Ms`)."""
    milliseconds: float | None = ctx.timeout_ms
    return None if milliseconds is None else asyncio.get_running_loop().time() + milliseconds / 1000


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
        deadline = budget(ctx)
        try:
            process = await _begin(processes, request)
        except Died:
            processes = await self._find(ctx)
            process = await _begin(processes, request)
        queue = process.listen()
        processes.follow(process)
        async for event in _events(process, queue, deadline, keep_alive(ctx), processes):
            yield pb.StartResponse(event=event)

    async def connect(self, request: pb.ConnectRequest, ctx: Any) -> AsyncIterator[pb.ConnectResponse]:
        process = (await self._find(ctx)).select(request.process)
        async for event in _events(process, process.listen(), budget(ctx), keep_alive(ctx)):
            yield pb.ConnectResponse(event=event)

    async def send_input(self, request: pb.SendInputRequest, ctx: Any) -> pb.SendInputResponse:
        await (await self._find(ctx)).select(request.process).feed(request.input)
        return pb.SendInputResponse()

    async def stream_input(self, request: AsyncIterator[pb.StreamInputRequest], ctx: Any) -> pb.StreamInputResponse:
        processes = await self._find(ctx)
        process: Process | None = None
        async for message in request:
            match message.event:
                case Oneof(field="start", value=start):
                    process = processes.select(start.process)
                case Oneof(field="data", value=data) if process is not None:
                    await process.feed(data.input)
                case _:
                    pass
        return pb.StreamInputResponse()

    async def close_stdin(self, request: pb.CloseStdinRequest, ctx: Any) -> pb.CloseStdinResponse:
        process = (await self._find(ctx)).select(request.process)
        if process.child.terminal is not None:
            raise ConnectError(Code.FAILED_PRECONDITION, "cannot close stdin of a tty, send Ctrl+D (0x04) instead")
        guests.close(process.child)
        return pb.CloseStdinResponse()

    async def send_signal(self, request: pb.SendSignalRequest, ctx: Any) -> pb.SendSignalResponse:
        processes = await self._find(ctx)
        if int(request.signal) not in (signal.SIGTERM, signal.SIGKILL):
            raise ConnectError(Code.UNIMPLEMENTED, f"invalid signal: {request.signal}")
        await processes.signal(processes.select(request.process), int(request.signal))
        return pb.SendSignalResponse()

    async def update(self, request: pb.UpdateRequest, ctx: Any) -> pb.UpdateResponse:
        process = (await self._find(ctx)).select(request.process)
        size = request.pty.size if request.pty else None
        if size is not None:
            if process.child.terminal is None or process.child.stdin is None:
                raise ConnectError(Code.FAILED_PRECONDITION, "tty not assigned to process")
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


async def _events(
    process: Process,
    queue: asyncio.Queue[pb.ProcessEvent],
    deadline: float | None,
    silence: float,
    owner: Processes | None = None,
) -> AsyncIterator[pb.ProcessEvent]:
    """A listener's stream. When the time of the one that started the process (`owner`) is over, so is the process;
    a listener that hangs up changes nothing for it. Both as in envd."""
    loop = asyncio.get_running_loop()
    try:
        yield pb.ProcessEvent(event=Oneof("start", pb.ProcessEvent.StartEvent(pid=process.child.pid)))
        while True:
            patience = silence if deadline is None else min(silence, deadline - loop.time())
            try:
                async with asyncio.timeout(max(patience, 0)):
                    event = await queue.get()
            except TimeoutError:
                if deadline is not None and loop.time() >= deadline:
                    if owner is not None:
                        await owner.signal(process, signal.SIGKILL)
                    raise ConnectError(Code.DEADLINE_EXCEEDED, "the command took longer than its timeout") from None
                event = pb.ProcessEvent(event=Oneof("keepalive", pb.ProcessEvent.KeepAlive()))
            if event.event is None:
                raise ConnectError(Code.UNAVAILABLE, "the connection to the sandbox ended before the stream completed")
            yield event
            if event.event.field == "end":
                return
    finally:
        process.leave(queue)
