"""A shell command of our own in a sandbox, run to its end: a build's step, or the question whether it is ready."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb

from server.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from server.twins.e2b.machine import Machine

READY_PAUSE = 0.1
CHECK_LIMIT = 30.0


async def run(
    machine: Machine,
    command: str,
    *,
    cwd: str,
    envs: Mapping[str, str],
    seconds: float,
    heard: Callable[[str, bytes], None] = lambda _name, _data: None,
) -> int:
    """Its exit status. `heard` gets its output, by stream. Raises `StackError` when it cannot start, or takes too
    long, or the sandbox dies under it."""
    config = pb.ProcessConfig(cmd="/bin/bash", args=["-l", "-c", command], cwd=cwd, envs=dict(envs))
    try:
        process = await machine.processes.start(config)
    except ConnectError as error:
        raise StackError(error.message) from None
    queue = process.listen()
    machine.processes.follow(process)
    try:
        async with asyncio.timeout(seconds):
            while True:
                event: Any = (await queue.get()).event
                if event is None:
                    raise StackError("The sandbox died.")
                if event.field == "end":
                    return event.value.exit_code
                if event.field == "data" and event.value.output is not None:
                    heard(event.value.output.field, bytes(event.value.output.value))
    except TimeoutError:
        await machine.processes.signal(process, signal.SIGKILL)
        raise StackError(f"The command took longer than {seconds:g} seconds.") from None
    finally:
        process.leave(queue)


async def until_ready(machine: Machine, command: str, *, cwd: str, envs: Mapping[str, str], seconds: float) -> bool:
    """Ask until the command says yes by exit code 0; whether it did in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        try:
            left = max(0.1, min(CHECK_LIMIT, end - loop.time()))
            if await run(machine, command, cwd=cwd, envs=envs, seconds=left) == 0:
                return True
        except StackError:
            pass
        if loop.time() >= end:
            return False
        await asyncio.sleep(READY_PAUSE)
