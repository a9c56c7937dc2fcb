"""Servers that look after each other: whose work is taken over, and whose is not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from server.books.database import is_away, open_engine
from server.books.schema import WORKERS
from server.workers import Workers

if TYPE_CHECKING:
    from server.durable import Durable
    from tests.faults.stores import Cluster


class Engine:
    """As much of the workflow engine as it takes."""

    executor = "me"

    def __init__(self) -> None:
        self.taken: list[set[str]] = []

    async def executors(self) -> set[str]:
        return {"me", "another"}

    async def take_over(self, dead: set[str]) -> None:
        self.taken.append(dead)


async def test_a_server_too_busy_to_say_that_it_lives_does_not_take_over_from_itself(cluster: Cluster) -> None:
    books, engine = open_engine(cluster.new_database()), Engine()
    await Workers(books, cast("Durable", engine)).look()  # nobody ever said that it lives
    books.dispose()
    assert engine.taken == [{"another"}]


async def test_a_server_whose_loop_has_no_moment_to_spare_says_that_it_lives(cluster: Cluster) -> None:
    books = open_engine(cluster.new_database())
    workers = Workers(books, cast("Durable", Engine()), alive_seconds=0.5)
    keeping = asyncio.create_task(workers.keep())
    await asyncio.sleep(0)  # from here on the loop is ours alone

    def beat_at() -> float:
        with books.connect() as connection:
            return connection.execute(sa.select(sa.func.max(WORKERS.c.beat_at))).scalar() or 0.0

    for _ in range(3):
        before, until = beat_at(), time.monotonic() + 20
        while beat_at() == before:
            assert time.monotonic() < until
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert beat_at() == 0.0, "nobody waits for one that ended in order"
    books.dispose()


def test_a_transaction_we_slept_in_is_one_to_do_over(cluster: Cluster) -> None:
    books: Any = open_engine(cluster.new_database())
    with books.connect() as connection:
        pid = connection.execute(sa.text("select pg_backend_pid()")).scalar_one()
        connection.execute(sa.text("set idle_in_transaction_session_timeout = 1"))
        with books.connect() as other:
            gone = sa.text("select count(*) from pg_stat_activity where pid = :pid")
            while other.execute(gone, {"pid": pid}).scalar_one():
                other.rollback()
        with pytest.raises(DBAPIError) as slept:
            connection.execute(sa.text("select 1"))
    books.dispose()
    assert is_away(slept.value)
