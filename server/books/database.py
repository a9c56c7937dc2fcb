"""The database: SQLite embedded, PostgreSQL hosted, one code. Engines, and transactions that change something."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from server.books.schema import prepare

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

# A database that does not answer holds the server up for no longer than this.
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
# A server that stops in the middle of a transaction loses it, and what it had locked.
_LETS_GO = "-c idle_in_transaction_session_timeout=5000"
_BOUNDED = f"{_LETS_GO} -c statement_timeout=10000 -c lock_timeout=5000"


def open_engine(url: str) -> sa.Engine:
    """An engine with every table there. SQLite: readers and one writer do not wait for each other."""
    engine = _postgres(url, _BOUNDED) if _is_postgres(url) else _sqlite(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
            # The driver would begin at the first change only, and what was read before it could be stale by then.
            writes = connection.get_execution_options().get("writes")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    with writing(engine) as connection:
        prepare(connection)
    return engine


def open_journal(url: str) -> sa.Engine:
    """An engine for the workflow engine, which begins and ends its transactions in its own way."""
    if _is_postgres(url):
        return _postgres(url, _LETS_GO)
    engine = _sqlite(url)

    @event.listens_for(engine, "connect")
    def _immediate(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        connection.isolation_level = "IMMEDIATE"

    return engine


def _is_postgres(url: str) -> bool:
    return sa.make_url(url).get_backend_name() in {"postgresql", "postgres"}


def _postgres(url: str, options: str) -> sa.Engine:
    connect = {**_PATIENCE, "options": options}
    psycopg = sa.make_url(url).set(drivername="postgresql+psycopg")
    return sa.create_engine(psycopg, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=connect)


def _sqlite(url: str) -> sa.Engine:
    engine = sa.create_engine(url)

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA busy_timeout=10000")

    return engine


@contextmanager
def writing(engine: sa.Engine) -> Generator[sa.Connection]:
    """A transaction that changes something: all of it or nothing."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def _insert(dialect: str, table: sa.Table) -> Any:
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Add the row unless one of this key is there; whether it was added. Two processes never both add it."""
    added = _insert(connection.dialect.name, table).values(**row).on_conflict_do_nothing().returning(sa.literal(1))
    return connection.execute(added).scalar() is not None


def upsert(connection: sa.Connection, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write the row with this key, whether or not it is there."""
    upsert_all(connection, table, [*key], [{**key, **values}])


def upsert_all(connection: sa.Connection, table: sa.Table, key: list[str], rows: list[dict[str, Any]]) -> None:
    """Write these rows, whether or not rows of their keys are there. Each names the same columns."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, tuple(key), tuple(rows[0])), rows)


@cache
def _upsert(dialect: str, table: sa.Table, key: tuple[str, ...], names: tuple[str, ...]) -> sa.Executable:
    written = _insert(dialect, table)
    values = {name: written.excluded[name] for name in names if name not in key}
    return written.on_conflict_do_update(index_elements=key, set_=values)


def now(connection: sa.Connection) -> float:
    """Seconds since 1970, by the database's own clock where servers on several machines share one."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())
    return time.time()


def in_utc(moment: datetime) -> datetime:
    """A stored moment with its zone: SQLite gives back none, PostgreSQL the connection's own."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def is_away(error: BaseException) -> bool:
    """Whether this says that the database cannot be reached, is held up, or hung up on us just now."""
    hung_up = isinstance(error, DBAPIError) and error.connection_invalidated  # after we had slept in a transaction
    return hung_up or isinstance(error, OperationalError | InterfaceError | NoConnection)
