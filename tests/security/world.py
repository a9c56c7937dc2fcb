"""The world an attempt is made in: a host with secrets, a twin's sandboxes on it, an attacker's and a neighbour's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from server.local.node import find_node
from server.secrets import Secret
from server.twins.core import Site
from server.twins.e2b import standard
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.guards import Guards
from server.twins.e2b.machines import Machines
from server.twins.e2b.record import Record
from server.twins.e2b.setup import setup
from tests import e2b_stage
from tests.security.ways_out import internet

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from server.local.home import Home
    from server.twins.e2b.guest import Guest
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.tier import Tier
    from server.twins.e2b.walls import Walls
    from tests.security.host import Host
    from tests.security.probe import Probe

ENV = {"PATH": "/opt/node/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
ESCAPED = "ESCAPED"
KEPT = 200_000
"""Bytes of one attempt's output."""


@dataclass
class World:
    """One twin. The attacker's processes are behind `attacker.guest.walls`, which an attempt may change; the
    neighbour's are behind all."""

    host: Host
    home: Home
    machines: Machines
    attacker: Machine
    neighbour: Machine
    facts: dict[str, str] = field(default_factory=dict[str, str])
    spent: bool = False
    """Whether an attempt has used it up."""
    started: list[tuple[Guest, standard.Child]] = field(default_factory=list[tuple["Guest", standard.Child]])

    def told(self, text: str) -> str:
        """`text` with the facts put in."""
        return re.sub(r"@(\w+)@", lambda match: self.facts[match[1]], text)

    async def run(self, script: str, *, seconds: float = 20, of: Machine | None = None) -> str:
        """Run a script in the attacker's sandbox, or another; all its output. It is ended when its time is over."""
        guest = (of or self.attacker).guest
        child = await guest.run(["/bin/bash", "-c", self.told(script)], env=ENV, cwd="/")
        said = bytearray()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(_read(child.stdout, said), _read(child.stderr, said))
                await child.exited
        except TimeoutError:
            said += b"(its time was over)"
        with contextlib.suppress(Exception):
            await guest.signal(child, signal.SIGKILL)
        standard.close(child)
        return said.decode(errors="replace") + child.notice()

    async def read_by_service(self, path: str) -> str:
        """A file of the attacker's sandbox as the twin hands it out."""
        try:
            _, (opened,) = await self.attacker.guest.call("open_to_read", path=path)
        except FileTrouble as trouble:
            return str(trouble)
        with os.fdopen(opened, "rb") as file:
            return file.read(KEPT).decode(errors="replace")

    async def start(self, script: str, *, of: Machine | None = None) -> standard.Child:
        """Start a script that goes on by itself, and wait until it has said something."""
        guest = (of or self.attacker).guest
        child = await guest.run(["/bin/bash", "-c", self.told(script)], env=ENV, cwd="/")
        self.started.append((guest, child))
        async with asyncio.timeout(10):
            await child.stdout.readline()
        return child

    async def attempt(self, probe: Probe, walls: Walls) -> bool:
        """Whether it succeeds behind these walls."""
        self.attacker.guest.walls = walls
        await self.machines.repolicy(self.attacker)
        said = await (self.run(probe.attempt) if isinstance(probe.attempt, str) else probe.attempt(self))
        await self._end_started()
        return self.told(probe.proof or ESCAPED) in said

    async def _end_started(self) -> None:
        for guest, child in self.started:  # with its guards lifted a sandbox's end may not be theirs
            with contextlib.suppress(Exception):
                await guest.signal(child, signal.SIGKILL)
        self.started.clear()

    async def end(self) -> None:
        await self._end_started()
        for machine in (self.attacker, self.neighbour):
            await machine.stop()


async def _read(reader: asyncio.StreamReader | None, said: bytearray) -> None:
    while reader is not None and (data := await reader.read(65536)):
        said += data[: max(0, KEPT - len(said))]


@asynccontextmanager
async def made(host: Host, root: Path, guards: Guards, found: Tier) -> AsyncGenerator[World]:
    """A twin with `guards` and its two sandboxes, while the block runs."""
    home = e2b_stage.make_home(root)
    site = Site("e2b", "http://127.0.0.1:1", root / "twin", Secret("key"), Secret("admin"))
    services = {"mail": host.given}
    base = setup(
        site, home, find_node().root, services, {}, "https://registry.npmjs.org/", found, {"ONWARD": str(host.onward)}
    )
    guards = replace(guards, proxy=partial(guards.proxy, **internet(host)))
    machines = Machines(replace(base, guards=guards))
    gone: list[str] = []
    try:
        async with machines.running(gone.append):
            attacker, neighbour = [await _sandbox(machines, name) for name in ("attacker", "neighbour")]
            world = World(host, home, machines, attacker, neighbour)
            world.facts = {
                **host.facts(),
                "nonce": secrets.token_hex(6),
                "folder": str(machines.folder("attacker")),
                "neighbour": str(machines.folder("neighbour")),
                "env": secrets.token_hex(12),
                "modules": str(home.template / "app" / "node_modules"),
            }
            _, (env,) = await neighbour.guest.call("open_to_write", path="/app/.env")
            with os.fdopen(env, "w") as out:
                out.write(world.facts["env"])
            attacker.guest.walls = guards.walls
            if "pid" not in guards.walls.namespaces:  # it may have none
                own = tuple(name for name in Guards().walls.namespaces if name != "pid")
                neighbour.guest.walls = replace(Guards().walls, namespaces=own)
            yield world
            await world.end()
    finally:
        e2b_stage.unmake_home(home)


async def _sandbox(machines: Machines, name: str) -> Machine:
    record = Record(name, "token", "mk0r", "", "", start="", door=-1)
    await machines.make(name)
    machine = await machines.start(record)
    machine.guest.walls = Guards().walls
    return machine
