"""One sandbox that is up, as the twin has it: commands to run in it, files to work on, sockets to open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b import standard
from server.twins.e2b.channel import REQUEST_LIMIT
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.notices import Notices
from server.twins.e2b.standard import Child, close, resize
from server.twins.e2b.walls import Walls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.e2b.supervision import Keeper

__all__ = ["Child", "Guest", "close", "resize"]

DIAL_LIMIT = 5.0
SPARE_SOCKETS = 8


@dataclass
class Guest:
    name: str
    keeper: Keeper
    ports: Mapping[int, int] = field(default_factory=dict[int, int])
    """Where its ports are when it has no network of its own (the weak tier)."""
    own_network: bool = True
    walls: Walls = field(default_factory=Walls)
    notices: Notices = field(default_factory=Notices)
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
        ends, theirs = standard.make(stdin=stdin, terminal=terminal)
        job = {"argv": argv, "env": dict(env), "cwd": cwd, "terminal": terminal is not None}
        mark = self.notices.mark()
        reader = await standard.reader(report)
        try:
            try:
                reply = await self.keeper.request("run", [report_end, *theirs], **job, **self.walls.of_a_process())
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
            stdout=await standard.reader(out),
            stderr=None if problems is None else await standard.reader(problems),
            terminal=into if terminal else None,
            notice=partial(self.notices.since, mark),
        )
        if "error" in said or not said:
            close(child)
            raise FileTrouble(said.get("error", "EIO"), said.get("about", "the sandbox is gone"))
        return child

    async def signal(self, child: Child, number: int) -> None:
        await self.keeper.request("signal", pid=child.host_pid, signal=number)

    async def call(self, function: str, **arguments: Any) -> tuple[Any, list[int]]:
        return await self.keeper.inside("files", function, **arguments)

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
            _, files = await self.keeper.inside("network", "sockets", count=SPARE_SOCKETS)
            self._spare.extend(socket.socket(fileno=opened) for opened in files)
        return self._spare.popleft()

    async def listen(self, ports: list[int]) -> list[socket.socket]:
        """Listening sockets on the sandbox's loopback, accepted from by us."""
        _, files = await self.keeper.inside("network", "listeners", ports=ports)
        return [socket.socket(fileno=opened) for opened in files]

    async def freeze(self) -> None:
        await self.signal_all(signal.SIGSTOP)

    async def thaw(self) -> None:
        await self.signal_all(signal.SIGCONT)

    async def signal_all(self, number: int) -> None:
        """Signal every process in it, in one sweep that no fork slips through."""
        await self.keeper.inside("processes", "signal_all", number=int(number))

    async def kill(self) -> None:
        for sock in self._spare:
            sock.close()
        self._spare.clear()
        with contextlib.suppress(StackError):  # the keeper gone means the sandbox is, too
            await self.keeper.request("kill")
        self.keeper.close()
