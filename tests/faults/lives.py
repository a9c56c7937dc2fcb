"""Servers in processes of their own: begun, waited for, stopped and woken."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from server.local.home import Home
    from tests.faults.worker import Plan

KILLED = -signal.SIGKILL


class Life:
    """One process."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def ended(self, status: int) -> None:
        self._ended.set_result(status)

    async def end(self, seconds: float = 60) -> int:
        """Its exit status; negative for the signal that killed it."""
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._ended)

    @property
    def is_over(self) -> bool:
        return self._ended.done()

    def is_stopped(self) -> bool:
        with open(f"/proc/{self.pid}/stat") as file:  # noqa: PTH123 - not a file
            return file.read().rpartition(")")[2].split()[0] == "T"

    async def until_stopped(self, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not self.is_stopped():  # noqa: ASYNC110 - the kernel says so
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # it ended by itself, and we were not told yet
            os.kill(self.pid, signal.SIGKILL)


class Lives:
    """Begins them."""

    def __init__(self, process: asyncio.subprocess.Process, logs: Path) -> None:
        self._process = process
        self._logs = logs
        self._lives: dict[int, Life] = {}
        self._begun: asyncio.Queue[int] = asyncio.Queue()
        self._lock = asyncio.Lock()
        self._count = 0

    async def begin(self, plan: Plan) -> Life:
        self._count += 1
        return await self._begin(self._logs / f"life-{self._count}.log", plan=asdict(plan))

    async def serve(self, home: Home, port: int, environ: Mapping[str, str]) -> Life:
        """A whole `mk0r serve`."""
        home.make()
        return await self._begin(
            home.logs / "serve.log", serve={"home": str(home.root), "port": port, "environ": dict(environ)}
        )

    async def _begin(self, log: Path, **asked: object) -> Life:
        line = json.dumps({"log": str(log), **asked})
        assert self._process.stdin is not None
        async with self._lock:
            self._process.stdin.write(line.encode() + b"\n")
            pid = await self._begun.get()
            life = self._lives[pid] = Life(pid, log)
            return life

    async def listen(self) -> None:
        """What the zygote tells, for ever."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "status" not in told:
                self._begun.put_nowait(told["pid"])
                continue
            while told["pid"] not in self._lives:  # noqa: ASYNC110 - it ended before we wrote down that it began
                await asyncio.sleep(0)
            self._lives.pop(told["pid"]).ended(told["status"])

    def kill_all(self) -> None:
        for life in self._lives.values():
            life.kill()


@asynccontextmanager
async def lives(logs: Path) -> AsyncGenerator[Lives]:
    """Every process begun is gone at the end. `logs` is a folder that is there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.zygote",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Lives(process, logs)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        made.kill_all()
        process.kill()
        await process.wait()
        listening.cancel()
