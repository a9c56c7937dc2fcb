"""What the tests of a sandbox share: a machine with two services, a twin on it, and a sandbox of that twin."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import e2b_stage
from tests.e2b_stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from e2b import AsyncSandbox


@dataclass(frozen=True)
class Ports:
    """Two services of this machine: one handed in, one not."""

    given: int
    kept: int


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65536)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    writer.close()


@pytest.fixture(scope="package")
async def ports() -> AsyncIterator[Ports]:
    servers = [await asyncio.start_server(greet, "127.0.0.1", 0) for _ in range(2)]
    yield Ports(*(server.sockets[0].getsockname()[1] for server in servers))
    for server in servers:
        server.close()


@pytest.fixture(scope="package")
async def stage(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    services = {"neon": ports.given, "mail": ports.given}
    async with staged(home, services=services, registry=f"http://localhost:{ports.given}/") as stage:
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create()
    yield sandbox
    await sandbox.kill()
