"""What is opened between a sandbox that has just come up and this machine: services inwards, its app outwards."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb

from server.twins.e2b import egress
from server.twins.e2b.errors import PORT_CLOSED
from server.twins.e2b.machine import STARTING_SECONDS
from server.twins.e2b.relay import Target, piping_to, tls_context
from server.vm import image

if TYPE_CHECKING:
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.setup import Setup

TLS_PORT = 443
REFUSAL = (
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    f'{{"message":"{PORT_CLOSED}","code":502}}'
).encode()


async def hand_in(machine: Machine, setup: Setup, registry: str) -> None:
    """Let the services of this machine, and the way out, listen on the sandbox's loopback."""
    proxy = setup.guards.proxy(lambda: machine.policy, setup.environ)
    services = {**_local(registry), **setup.services}
    tls = tls_context(setup.chain) if any(target.tls for target in services.values()) else None
    ports = [egress.PORT, *services]
    for port, listener in zip(ports, await machine.guest.listen(ports), strict=True):
        listener.setblocking(False)
        target = services.get(port)
        handler = proxy if target is None else piping_to(partial(machine.service, target))
        server = await asyncio.start_server(handler, sock=listener, ssl=tls if target and target.tls else None)
        machine.servers.append(server)


def _local(registry: str) -> dict[int, Target]:
    """A registry on this machine is handed in: its loopback address is not reached through a proxy."""
    parts = urlsplit(registry)
    port = parts.port or (80 if parts.scheme == "http" else TLS_PORT)
    if parts.hostname in ("localhost", "127.0.0.1") and port != egress.PORT:
        return {port: Target("127.0.0.1", port)}
    return {}


async def open_up(machine: Machine) -> None:
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
        app = await machine.processes.start(config, tag="app")
        machine.processes.follow(app)
        machine.starting = app, asyncio.get_running_loop().time() + STARTING_SECONDS
