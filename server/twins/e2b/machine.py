"""One sandbox that is up: its processes, the services handed in, its way out and its door; and how it gets there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb

from server.errors import StackError
from server.twins.e2b import egress, namespaces, weak
from server.twins.e2b.boxes import Boxes, Ground
from server.twins.e2b.errors import PORT_CLOSED, FileTrouble
from server.twins.e2b.guards import Guards
from server.twins.e2b.network import Policy
from server.twins.e2b.process import Processes
from server.twins.e2b.relay import Target, piping_to, tls_context
from server.twins.e2b.use import counted
from server.vm import image

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
    from pathlib import Path

    from server.local.home import Home
    from server.twins.e2b.guest import Guest
    from server.twins.e2b.record import Record
    from server.twins.e2b.tier import Tier
    from server.twins.e2b.use import Use
    from server.twins.e2b.watch import Watch

TLS_PORT = 443
REFUSAL = (
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    f'{{"message":"{PORT_CLOSED}","code":502}}'
).encode()


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

    async def dial(self, port: int) -> socket.socket:
        """A connection to one of its ports. Raises `OSError` when nothing listens, or it is paused."""
        if self.record.state != "running":
            raise ConnectionRefusedError("the sandbox is paused")
        return await self.guest.dial(port)

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


@dataclass(frozen=True)
class Setup:
    """What every sandbox of this twin is made from."""

    home: Home
    tier: Tier
    parts: namespaces.Parts
    services: Mapping[int, Target]
    environment: Mapping[str, str]
    registry: str | None
    """Unset: the one the user's npm names, asked once while nobody waits yet."""
    chain: Path
    environ: Mapping[str, str]
    pid_file: Path
    guards: Guards = field(default_factory=Guards)


class Machines:
    """Makes, starts and removes sandboxes on this machine."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        ground = Ground(setup.home.sandboxes, setup.parts, setup.pid_file, setup.guards, isolated=self.isolated)
        self._boxes = Boxes(ground, self._lost)
        self._on_gone: Callable[[str], None] = lambda _: None
        self._chores: set[asyncio.Task[None]] = set()
        self._tls: ssl.SSLContext | None = None
        self._registry: asyncio.Task[str]

    @contextlib.asynccontextmanager
    async def running(self, on_gone: Callable[[str], None]) -> AsyncGenerator[None]:
        self._on_gone = on_gone
        _end_leftover(self._setup.pid_file)
        self._tls = tls_context(self._setup.chain)
        self._registry = asyncio.create_task(self._find_registry())
        await self._boxes.open()
        try:
            yield
        finally:
            self._registry.cancel()
            if self._chores:
                await asyncio.wait(self._chores, timeout=10)
            await self._boxes.close()

    def _lost(self, sandbox_id: str) -> None:
        self._on_gone(sandbox_id)

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
        except FileTrouble as trouble:
            raise StackError(f"A sandbox's folder could not be made ({trouble.name}).") from trouble

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
                await self._hand_in(machine)
            if prepare is not None:
                await prepare(machine)
            await self._open_up(machine)
        except BaseException:
            await machine.stop()
            raise
        return machine

    async def _start_strong(self, record: Record) -> Machine:
        guest = await self._boxes.bring_up(record.id)
        return Machine(record, guest, Processes(guest, self._environment(record, await self._registry), record.workdir))

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

    def _environment(self, record: Record, registry: str) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{egress.PORT}"
        return {
            "HOME": image.HOME,
            "USER": image.USER,
            "LOGNAME": image.USER,
            "PATH": image.PATH,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TMPDIR": "/tmp",
            "NODE_EXTRA_CA_CERTS": namespaces.CERTIFICATES,
            "NODE_USE_ENV_PROXY": "1",
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
            "npm_config_registry": registry,
            "npm_config_update_notifier": "false",
            **self._setup.environment,
            **record.envs,
        }

    async def _hand_in(self, machine: Machine) -> None:
        """Let the services of this machine, and the way out, listen on the sandbox's loopback."""
        await self.repolicy(machine)
        proxy = self._setup.guards.proxy(lambda: machine.policy, self._setup.environ)
        services = {**self._local_registry(await self._registry), **self._setup.services}
        ports = [egress.PORT, *services]
        listeners = await machine.guest.listen(ports)
        for port, listener in zip(ports, listeners, strict=True):
            listener.setblocking(False)
            target = services.get(port)
            handler = proxy if target is None else piping_to(partial(machine.service, target))
            tls = self._tls if target is not None and target.tls else None
            machine.servers.append(await asyncio.start_server(handler, sock=listener, ssl=tls))

    def _local_registry(self, registry: str) -> dict[int, Target]:
        """A registry on this machine is handed in: its loopback address is not reached through a proxy."""
        parts = urlsplit(registry)
        port = parts.port or (80 if parts.scheme == "http" else TLS_PORT)
        if parts.hostname in ("localhost", "127.0.0.1") and port != egress.PORT:
            return {port: Target("127.0.0.1", port)}
        return {}

    async def _open_up(self, machine: Machine) -> None:
        """The plain door, on the port it had before if that is still free, and the app itself."""
        record = machine.record
        if record.public and record.door >= 0:
            handler = piping_to(partial(machine.connect, image.READY_PORT), REFUSAL)
            try:
                door = await asyncio.start_server(handler, "127.0.0.1", record.door)
            except OSError:
                door = await asyncio.start_server(handler, "127.0.0.1", 0)
            machine.servers.append(door)
            record.door = door.sockets[0].getsockname()[1]
        if not record.start_words():
            return
        # In the weak tier `/app` is only the SDK's name for a folder: there the command names the file from within it.
        prefix = f"{image.WORKDIR}/" if record.start is None else ""
        command, *arguments = (word.removeprefix(prefix) for word in record.start_words())
        config = pb.ProcessConfig(cmd=command, args=arguments, cwd=record.workdir, envs=record.start_envs)
        # An app that cannot start is the app's trouble, and a shell is wanted to mend it.
        with contextlib.suppress(ConnectError):
            machine.processes.follow(await machine.processes.start(config, tag="app"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_leftover(pid_file: Path) -> None:
    """End the supervisor of a twin that was killed, and with it its sandboxes: two must not share an overlay."""
    import psutil

    try:
        left = psutil.Process(int(pid_file.read_text()))
        if "server.twins.e2b.supervisor" in left.cmdline():
            below = left.children(recursive=True)
            left.kill()
            psutil.wait_procs([left, *below], timeout=5)
    except (OSError, ValueError, psutil.Error):
        pass
    pid_file.unlink(missing_ok=True)
