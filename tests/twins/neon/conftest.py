"""One PostgreSQL and one Neon twin, both real and listening, for all tests of this folder."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
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


@dataclass(frozen=True)
class Neon:
    """A running twin and its operator's client."""

    api: httpx.AsyncClient
    postgres: PostgresServer
    data: Path
    port: int

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
    site = Site("neon", f"http://localhost:{port}", data, Secret(KEY), Secret("admin"))
    async with (
        serving(build(site, postgres=postgres, spares=spares), sockets),
        httpx.AsyncClient(base_url=site.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as client,
    ):
        yield Neon(client, postgres, data, port)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    home = Home(tmp_path_factory.mktemp("neon") / "home")
    binaries = embedded.find_binaries({})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = Secret("superuser's own")
    await embedded.prepare(home, binaries, lambda _: None)
    await embedded.start(home, binaries, port, password)
    yield PostgresServer("localhost", port, "postgres", password, binaries.major, embedded.socket_dir(home))
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
