"""One sandbox that is up: its processes, what is open between it and this machine, and its end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.twins.e2b.network import Policy
from server.vm import image

if TYPE_CHECKING:
    import socket

    from server.twins.e2b.guest import Guest
    from server.twins.e2b.process import Process, Processes
    from server.twins.e2b.record import Record
    from server.twins.e2b.relay import Target
    from server.twins.e2b.watch import Watch

STARTING_SECONDS = 30.0
"""The vendor resumes memory, so an app listens at once. Here it may have to start, and has this long to listen."""

STARTING_LOOK = 0.05


@dataclass
class Machine:
    """A sandbox that is up, running or frozen."""

    record: Record
    guest: Guest
    processes: Processes
    servers: list[asyncio.Server] = field(default_factory=list[asyncio.Server])
    watches: dict[str, Watch] = field(default_factory=dict[str, "Watch"])
    policy: Policy = field(default_factory=Policy)
    """Asked anew for every connection out, so that a change takes effect at once."""
    starting: tuple[Process, float] | None = None
    """The app that was started with it and has not listened yet, and when it should, by the loop's clock."""

    async def dial(self, port: int) -> socket.socket:
        """A connection to one of its ports. Raises `OSError` when nothing listens, or it is paused."""
        if port == image.READY_PORT and self.starting is not None:
            await self._listening(*self.starting)
        if self.record.state != "running":
            raise ConnectionRefusedError("the sandbox is paused")
        return await self.guest.dial(port)

    async def _listening(self, app: Process, by: float) -> None:
        """Returns when the app listens, or has ended, or had its time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(by):
                while self.record.state == "running" and app.task is not None and not app.task.done():
                    try:
                        (await self.guest.dial(image.READY_PORT)).close()
                        break
                    except ConnectionRefusedError:
                        await asyncio.sleep(STARTING_LOOK)
        if self.record.state == "running":
            self.starting = None

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(sock=await self.dial(port))

    async def freeze(self) -> None:
        await self.guest.freeze()

    async def thaw(self) -> None:
        await self.guest.thaw()

    async def stop(self) -> None:
        self.abandon()
        await self.guest.kill()

    def abandon(self) -> None:
        """Close what is ours of it; its processes are gone, or about to be."""
        self.processes.stop()
        for watch in [*self.watches.values()]:
            watch.cut()
        self.watches.clear()
        for server in self.servers:
            server.close()

    def forget(self, watch: Watch) -> None:
        self.watches = {name: kept for name, kept in self.watches.items() if kept is not watch}

    async def service(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a service of this machine. Raises `OSError` where the sandbox's network is closed."""
        if not self.policy.services:
            raise ConnectionRefusedError("the sandbox's network is closed")
        return await target.connect()
