"""The project's one SQLite file: events in an indexed table of their own, bounded, beside persons, groups and flags.

Kept for years on a laptop, it must neither slow down nor fill the disk, so the oldest events give way.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

MOST_EVENTS, MOST_EVENT_BYTES = 500_000, 512 * 1024 * 1024

_MOST = (("person", "created_at", 200_000), ('"group"', "created_at", 100_000), ("flag_hash_key", "rowid", 100_000))
"""What else each captured event may add a row to: how it is ordered, and how many rows are kept."""

_SCHEMA = """
create table if not exists event (
    seq integer primary key,
    uuid text not null unique,
    event text not null,
    distinct_id text not null,
    person_id text not null,
    timestamp text not null,
    created_at text not null,
    session_id text not null,
    group_0 text not null, group_1 text not null, group_2 text not null, group_3 text not null, group_4 text not null,
    properties text not null,
    size integer not null
);
create index if not exists event_by_time on event (timestamp);
create index if not exists event_by_name on event (event, timestamp);
create index if not exists event_by_distinct_id on event (distinct_id);
create index if not exists event_by_person on event (person_id, timestamp);
create index if not exists event_by_session on event (session_id, timestamp);
create index if not exists event_by_group_0 on event (group_0, timestamp);
create index if not exists event_by_group_1 on event (group_1, timestamp);
create index if not exists event_by_group_2 on event (group_2, timestamp);
create index if not exists event_by_group_3 on event (group_3, timestamp);
create index if not exists event_by_group_4 on event (group_4, timestamp);
create table if not exists event_total (one integer primary key check (one = 1), events integer, bytes integer);
insert or ignore into event_total values (1, 0, 0);
create trigger if not exists event_added after insert on event begin
    update event_total set events = events + 1, bytes = bytes + new.size;
end;
create trigger if not exists event_removed after delete on event begin
    update event_total set events = events - 1, bytes = bytes - old.size;
end;
create table if not exists person (
    id text primary key, created_at text not null, last_seen_at text not null,
    is_identified integer not null, properties text not null
);
create index if not exists person_by_creation on person (created_at);
create table if not exists person_distinct_id (
    distinct_id text primary key, person_id text not null references person (id) on delete cascade
);
create index if not exists distinct_id_by_person on person_distinct_id (person_id);
create table if not exists group_type (group_type_index integer primary key, group_type text not null unique);
create table if not exists "group" (
    group_type_index integer not null, group_key text not null, created_at text not null, properties text not null,
    primary key (group_type_index, group_key)
);
create table if not exists flag (id integer primary key autoincrement, key text not null, doc text not null);
create table if not exists flag_hash_key (
    distinct_id text not null, flag_key text not null, hash_key text not null, primary key (distinct_id, flag_key)
);
create table if not exists recording (
    session_id text primary key, distinct_id text not null, start_time text not null, end_time text not null,
    snapshots integer not null, bytes integer not null
);
create table if not exists api_key (digest text primary key, label text not null, ending text not null, scopes text);
create table if not exists setting (name text primary key, value text not null);
"""

_TABLES = (
    "event",
    "event_total",
    "person_distinct_id",
    "person",
    "group_type",
    '"group"',
    "flag",
    "flag_hash_key",
    "recording",
    "api_key",
    "setting",
)


class Store:
    """Calls are short and synchronous, so two requests never see half a change."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.execute("pragma foreign_keys = on")
        self._db.executescript(_SCHEMA)

    def run(self, sql: str, *values: Any) -> int:
        """Change something; how many rows were changed."""
        return self._db.execute(sql, values).rowcount

    def add(self, sql: str, *values: Any) -> int:
        """Insert one row; its id."""
        return self._db.execute(sql, values).lastrowid or 0

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        return self._db.execute(sql, values).fetchone()

    def add_events(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add what is new; an event delivered twice is stored once, its uuid being its identity."""
        places = ", ".join("?" * 14)
        columns = "uuid, event, distinct_id, person_id, timestamp, created_at, session_id, "
        columns += "group_0, group_1, group_2, group_3, group_4, properties, size"
        self._db.executemany(f"insert or ignore into event ({columns}) values ({places})", rows)  # noqa: S608 - our own words

    @contextmanager
    def together(self) -> Generator[None]:
        """All of the block's changes, or none of them."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def prune(self, most_events: int = MOST_EVENTS, most_bytes: int = MOST_EVENT_BYTES) -> None:
        """Let the oldest twentieth go when there is too much, so that it is not done for every event."""
        pruned = False
        while total := self.one(
            "select events from event_total where events > ? or bytes > ?", most_events, most_bytes
        ):
            some = total["events"] // 20 + 1
            self.run("delete from event where seq in (select seq from event order by seq limit ?)", some)
            pruned = True
        if pruned:
            for table, order, most in _MOST:
                oldest = f"select rowid from {table} order by {order} desc limit -1 offset {most}"  # noqa: S608 - our own words
                self.run(f"delete from {table} where rowid in ({oldest})")  # noqa: S608 - our own words

    def setting(self, name: str, default: str) -> str:
        row = self.one("select value from setting where name = ?", name)
        return row["value"] if row else default

    def set(self, name: str, value: str) -> None:
        self.run("insert or replace into setting (name, value) values (?, ?)", name, value)

    def clear(self) -> None:
        with self.together():
            for table in _TABLES:
                self.run(f"delete from {table}")  # noqa: S608 - our own words
            self.run("insert into event_total values (1, 0, 0)")

    def save(self, path: Path) -> None:
        copy = sqlite3.connect(path)
        try:
            self._db.backup(copy)
        finally:
            copy.close()

    def load(self, path: Path) -> None:
        """Everything as it was saved. Raises `FileNotFoundError` where nothing was."""
        if not path.exists():
            raise FileNotFoundError(path)
        saved = sqlite3.connect(path)
        try:
            saved.backup(self._db)
        finally:
            saved.close()

    def close(self) -> None:
        self._db.close()
