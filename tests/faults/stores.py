"""The two databases the server keeps its books in, for every test that is run on both."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg import sql

from server.books.books import Books
from server.books.database import open_engine
from server.local import postgres
from server.local.facts import free_port
from server.local.home import Home
from server.secrets import Secret
from tests import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORES = ("sqlite", "postgres")
VAULT_KEY = Secret(Fernet.generate_key().decode())


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL of the tests' own."""

    home: Home
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Also after it was killed; one that runs stays as it is."""
        await postgres.start(self.home, postgres.find_binaries(os.environ), self.port, Secret(self.password))

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"books_{token_hex(4)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{self.url}/{name}"


async def start_cluster(home: Home) -> Cluster:
    """Stopped with `stop_cluster`."""
    await postgres.prepare(home, postgres.find_binaries(os.environ), lambda _: None)
    cluster = Cluster(home, free_port(set()), token_hex(12))
    await cluster.start()
    return cluster


async def stop_cluster(home: Home) -> None:
    await postgres.stop(home, postgres.find_binaries(os.environ))
    prepared.remove(home)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """For tests with an event loop and tests without, so it takes neither's."""
    home = Home(tmp_path_factory.mktemp("books"))
    with ThreadPoolExecutor(1) as apart:
        yield apart.submit(asyncio.run, start_cluster(home)).result(60)
        apart.submit(asyncio.run, stop_cluster(home)).result(60)


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mk0r.sqlite'}"
    found: Cluster = request.getfixturevalue("cluster")
    return found.new_database()


@pytest.fixture
def books(store_url: str) -> Iterator[Books]:
    engine = open_engine(store_url)
    yield Books.over(engine, VAULT_KEY)
    engine.dispose()
