"""One PostgreSQL and one Neon twin, both real and listening, for all tests of this folder."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from server.local import postgres as embedded
from server.local.home import Home
from server.local.postgres import PostgresServer
from server.secrets import Secret
from server.twins.core import Site
from server.twins.core.serve import bind, serving
from server.twins.neon import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

Doc = dict[str, Any]
KEY = "napi_for_these_tests"


@dataclass
class Clock:
    """The true time, and as much as a test adds to it."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, **much: float) -> None:
        self.ahead += timedelta(**much)


@dataclass(frozen=True)
class Neon:
    """A running twin and its operator's client."""

    api: httpx.AsyncClient
    postgres: PostgresServer
    data: Path
    port: int
    site: Site
    clock: Clock = field(default_factory=Clock)

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **query: Any) -> Any:
        """One call of the API that is to be answered so."""
        answer = await self.api.request(method, f"/api/v2{path}", json=body, params=query)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def done(self, method: str, path: str, body: Any = None, *, status: int = 200, **query: Any) -> Any:
        """The same, and its operations over."""
        answer = await self.call(method, path, body, status=status, **query)
        for operation in answer["operations"]:
            await self.over(operation)
        return answer

    async def connection_uri(self, project: str, **query: str) -> str:
        """Of a project, by its id."""
        asked: Doc = {"database_name": "neondb", "role_name": "neondb_owner", **query}
        return (await self.call("GET", f"/projects/{project}/connection_uri", **asked))["uri"]

    async def over(self, operation: Doc) -> Doc:
        path = f"/projects/{operation['project_id']}/operations/{operation['id']}"
        async with asyncio.timeout(30):
            while True:
                seen = (await self.call("GET", path))["operation"]
                if seen["status"] not in ("scheduling", "running"):
                    assert seen["status"] == "finished", seen
                    return seen
                await asyncio.sleep(0.005)

    async def held(self) -> None:
        """Returns when something waits at a barrier."""
        async with asyncio.timeout(30):
            while not (await self.twin("GET", "held"))["held"]:
                pass

    @asynccontextmanager
    async def as_(self, key: str) -> AsyncGenerator[Neon]:
        """The same twin, called with another key."""
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=self.site.base_url, headers=headers, timeout=30) as client:
            yield Neon(client, self.postgres, self.data, self.port, self.site, self.clock)

    @asynccontextmanager
    async def account(self, **wanted: Any) -> AsyncGenerator[tuple[Neon, Doc]]:
        """Somebody else: the twin called with their personal key, and what they were told when they signed up."""
        told = await self.twin("POST", "accounts", {"email": "somebody@example.com", **wanted})
        async with self.as_(told["key"]) as neon:
            yield neon, told

    @asynccontextmanager
    async def superuser(self, database: str = "postgres") -> AsyncGenerator[psycopg.AsyncConnection]:
        connection = await psycopg.AsyncConnection.connect(
            host="localhost",
            port=self.postgres.port,
            user=self.postgres.superuser,
            password=self.postgres.password.reveal(),
            dbname=database,
            autocommit=True,
        )
        async with connection:
            yield connection

    async def dropped(self, *names: str) -> None:
        """Waits, within bounds, until no database and no role of these names is left."""
        query = "select count(*) from (select datname from pg_database union all select rolname from pg_roles) n (name)"
        async with self.superuser() as connection, asyncio.timeout(30):
            while True:
                found = await connection.execute(f"{query} where name = any(%s)".encode(), ([*names],))
                if await found.fetchone() == (0,):
                    return
                await asyncio.sleep(0.02)

    async def twin(self, method: str, path: str, body: Any = None) -> Any:
        """One of the twin's own `/_twin` routes."""
        admin = {"Authorization": "Bearer admin"}
        answer = await self.api.request(method, f"/_twin/{path}", json=body, headers=admin, timeout=60)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def project(self, **wanted: Any) -> Doc:
        answer = await self.api.post("/api/v2/projects", json={"project": wanted})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def uri(self) -> str:
        return self.uri_of(await self.project())

    @staticmethod
    def uri_of(created: Doc) -> str:
        return created["connection_uris"][0]["connection_uri"]

    async def sql(self, uri: str, body: Any, **headers: str) -> httpx.Response:
        """As the driver sends it: text/plain, raw text, arrays."""
        given = {"neon_raw_text_output": "true", "neon_array_mode": "true", **headers}
        given = {name.replace("_", "-"): value for name, value in given.items() if value}
        content = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return await self.api.post(
            "/sql",
            content=content,
            headers={"Content-Type": "text/plain;charset=UTF-8", "Neon-Connection-String": uri, **given},
        )

    async def rows(self, uri: str, query: str, *params: Any) -> list[Any]:
        answer = await self.sql(uri, {"query": query, "params": list(params)})
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]


@asynccontextmanager
async def neon_on(postgres: PostgresServer, data: Path, *, spares: int = 3) -> AsyncGenerator[Neon]:
    sockets = bind()
    port = sockets[0].getsockname()[1]
    clock = Clock()
    site = Site("neon", f"http://localhost:{port}", data, Secret(KEY), Secret("admin"), clock=clock)
    site.limits.enforced = False
    async with (
        serving(build(site, postgres=postgres, spares=spares), sockets),
        httpx.AsyncClient(base_url=site.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as client,
    ):
        yield Neon(client, postgres, data, port, site, clock)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    home = Home(tmp_path_factory.mktemp("neon") / "home")
    binaries = embedded.find_binaries({})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = Secret("superuser's own")
    await embedded.prepare(home, binaries, lambda _: None)
    pid = await embedded.start(home, binaries, port, password)
    yield PostgresServer("localhost", port, "postgres", password, binaries.major, embedded.socket_dir(home))
    os.kill(pid, signal.SIGQUIT)  # writing out what is thrown away takes half a minute
    await embedded.stop(home, binaries)
    shutil.rmtree(home.stack, ignore_errors=True)


@pytest.fixture(scope="session")
async def neon(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Neon]:
    async with neon_on(postgres, tmp_path_factory.mktemp("twin")) as running:
        yield running


@pytest.fixture
def twin_on() -> Callable[..., AbstractAsyncContextManager[Neon]]:
    """Another twin: `twin_on(postgres, folder)`."""
    return neon_on
