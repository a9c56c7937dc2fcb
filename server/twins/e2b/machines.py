"""Makes, starts and removes sandboxes on this machine, in either tier."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b import egress, namespaces, weak
from server.twins.e2b.boxes import Boxes
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.ground import Ground
from server.twins.e2b.machine import Machine
from server.twins.e2b.network import Policy
from server.twins.e2b.opening import TLS_PORT, hand_in, open_up
from server.twins.e2b.process import Processes
from server.twins.e2b.supervision import end_leftover
from server.twins.e2b.use import counted
from server.vm import image

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from server.twins.e2b.record import Record
    from server.twins.e2b.setup import Setup
    from server.twins.e2b.use import Use


class Machines:
    """Makes, starts and removes sandboxes on this machine."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        ground = Ground(setup.home.sandboxes, setup.parts, setup.pid_file, setup.guards, isolated=self.isolated)
        self._boxes = Boxes(ground)
        self._chores: set[asyncio.Task[None]] = set()
        self._registry: asyncio.Task[str]

    @contextlib.asynccontextmanager
    async def running(self, on_gone: Callable[[str], None]) -> AsyncGenerator[None]:
        end_leftover(self._setup.pid_file)
        self._registry = asyncio.create_task(self._find_registry())
        await self._boxes.open(on_gone)
        self._do(self._boxes.sweep())
        try:
            yield
        finally:
            self._registry.cancel()
            if self._chores:
                await asyncio.wait(self._chores, timeout=10)
            await self._boxes.close()

    async def _find_registry(self) -> str:
        return self._setup.registry or await egress.registry_of(self._setup.parts.node, self._setup.environ)

    def folder(self, sandbox_id: str) -> Path:
        return self._boxes.folder(sandbox_id)

    def use(self, sandbox_id: str) -> Use | None:
        """What its control group has counted; `None` where it has none. Raises `OSError` when it is going."""
        group = self._boxes.group(sandbox_id)
        return None if group is None else counted(group)

    async def host(self, sandbox_id: str, function: str, **arguments: Any) -> Any:
        """Run one of `inside`'s functions on this machine, as a sandbox's user. Raises `FileTrouble`."""
        return await self._boxes.host(self._boxes.user(sandbox_id), function, **arguments)

    def shared_modules(self) -> list[str]:
        """The folders of a sandbox's own that hold only the template's files, where there is no overlay."""
        return [] if self._setup.parts.overlay and self._setup.tier.name != "weak" else ["app/node_modules"]

    @property
    def isolated(self) -> bool:
        """Whether a sandbox's paths are literal in it."""
        return self._setup.tier.name != "weak"

    async def repolicy(self, machine: Machine) -> None:
        machine.policy = Policy.of(machine.record, await self._registry)

    async def make(self, sandbox_id: str, *, bare: bool = False) -> None:
        """Lay out a sandbox's folder from the template; `bare`: without the starter's files. Raises `StackError`."""
        template = self._setup.home.template / "app"
        weakly = self._setup.tier.name == "weak"
        tier = weak if weakly else namespaces
        modules = "link" if weakly else "overlay" if self._setup.parts.overlay else "copy"
        try:
            await self._boxes.settle(sandbox_id)
            await self.host(
                sandbox_id,
                "make_home",
                folder=str(self.folder(sandbox_id)),
                template=str(template),
                folders=list(tier.FOLDERS),
                files=tier.FILES,
                modules=modules,
                bare=bare,
            )
        except (FileTrouble, OSError) as trouble:
            name = trouble.name if isinstance(trouble, FileTrouble) else trouble.strerror
            raise StackError(f"A sandbox's folder could not be made ({name}).") from trouble

    async def remove(self, sandbox_id: str) -> None:
        """Remove its folder, in the background: nobody waits for ten thousand files."""
        self._do(self._boxes.clear(sandbox_id))

    async def settled(self) -> None:
        """Returns when what goes on in the background is done."""
        if self._chores:
            await asyncio.wait(self._chores, timeout=30)

    def _do(self, work: Coroutine[Any, Any, object]) -> None:
        async def chore() -> None:
            with contextlib.suppress(FileTrouble, StackError, OSError):
                await work

        task = asyncio.create_task(chore())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def start(self, record: Record, prepare: Callable[[Machine], Awaitable[None]] | None = None) -> Machine:
        """Bring a sandbox up and start its app; does not wait for the app. `prepare` is done before anything runs."""
        strong = self._setup.tier.name == "namespaces"
        machine = await (self._start_strong(record) if strong else self._start_weak(record))
        try:
            if strong:
                await self.repolicy(machine)
                await hand_in(machine, self._setup, await self._registry)
            if prepare is not None:
                await prepare(machine)
            await open_up(machine)
        except BaseException:
            await machine.stop()
            raise
        return machine

    async def _start_strong(self, record: Record) -> Machine:
        guest = await self._boxes.bring_up(record.id)
        env = namespaces.environment(await self._registry)
        processes = Processes(guest, {**env, **self._setup.environment, **record.envs}, record.workdir)
        return Machine(record, guest, processes)

    async def _start_weak(self, record: Record) -> Machine:
        setup, folder = self._setup, self.folder(record.id)
        record.port = record.port or _free_port()
        neon = setup.services.get(TLS_PORT)
        env = weak.environment(
            record.id,
            folder,
            setup.parts,
            port=record.port,
            registry=await self._registry,
            neon=neon.port if neon else None,
            environ=setup.environ,
        )
        guest = await self._boxes.bring_up(record.id, jail=weak.jail(record.id, folder, setup.parts))
        guest.ports, guest.own_network = {image.READY_PORT: record.port}, False
        processes = Processes(guest, {**env, **setup.environment, **record.envs}, record.workdir)
        return Machine(record, guest, processes)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
