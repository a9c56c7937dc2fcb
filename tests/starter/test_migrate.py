"""Migrations, applied to a real PostgreSQL over plain TCP, as inside a local sandbox."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

import psycopg
import pytest

from server.local import postgres
from server.local.home import Home
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.starter.conftest import App


@pytest.fixture
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    home = Home(tmp_path_factory.mktemp("pg"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binaries = postgres.find_binaries({})
    await postgres.prepare(home, binaries, lambda _: None)
    await postgres.start(home, binaries, port, Secret("pw"))
    yield f"postgresql://postgres:pw@localhost:{port}/postgres"
    await postgres.stop(home, binaries)
    shutil.rmtree(home.stack, ignore_errors=True)


async def test_migrations_are_applied_once_and_all_or_nothing(make_app: Callable[..., App], database_url: str) -> None:
    app = make_app(example=True)
    app.write_env({"DATABASE_URL": database_url})

    for _ in range(2):
        done = app.run("npm", "run", "db:migrate")
        assert done.returncode == 0, done.stderr
        assert "The database is up to date." in done.stdout

    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into runs (id, distance_km, duration_seconds, ran_on) values (gen_random_uuid(), 8.2, 2652, now())"
        )
        assert connection.execute("select pace_per_km, note from runs").fetchone() == (323, "")

    app.run("npx", "drizzle-kit", "generate", "--custom", "--name", "half")
    (migration,) = (app.folder / "drizzle").glob("*_half.sql")
    migration.write_text("drop table runs;--> statement-breakpoint\nselect no_such_function();")
    failed = app.run("npm", "run", "db:migrate")
    assert failed.returncode == 1
    assert "nothing was changed" in failed.stderr
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from runs").fetchone() == (1,)


def test_without_a_database_or_a_migration_it_says_so(make_app: Callable[..., App]) -> None:
    app = make_app()
    alone = app.run("npm", "run", "db:migrate")
    assert alone.returncode == 1
    assert "DATABASE_URL is not set" in alone.stderr
    empty = app.run("npm", "run", "db:migrate", DATABASE_URL="postgresql://a:b@localhost:1/c")
    assert empty.returncode == 0
    assert "No migrations yet" in empty.stdout
    example = make_app(example=True)
    lost = example.run("npm", "run", "db:migrate", DATABASE_URL="postgresql://a:canary@localhost:1/c")
    assert lost.returncode == 1
    assert "canary" not in lost.stdout + lost.stderr
