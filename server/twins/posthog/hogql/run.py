"""Running a translated query: beside the server, read-only, and no longer than PostHog would let it."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.twins.posthog.hogql.clickhouse import equip
from server.twins.posthog.hogql.nodes import HogQLError
from server.twins.posthog.hogql.sql import NAMES
from server.twins.posthog.hogql.translation import translate

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from server.twins.posthog.hogql.nodes import Query
    from server.twins.posthog.hogql.sql import Type

SECONDS = 10.0
MOST_BYTES = 128 * 1024 * 1024
_EVERY = 10_000
"""SQLite's steps between two looks at the clock."""


class TooLong(Exception):
    """The query ran longer than it may."""


@dataclass(frozen=True)
class Answer:
    columns: list[str]
    types: list[tuple[str, str]]
    rows: list[list[Any]]


def run(query: Query, database: Path, now: datetime, most: int) -> Answer:
    """At most `most` rows. Raises `HogQLError` and `TooLong`. Blocks: to be called in a thread."""
    statement = translate(query)
    ends = time.monotonic() + SECONDS
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > ends, _EVERY)
        equip(connection, now)
        try:
            found = connection.execute(statement.sql.text, statement.sql.values)
            rows = _fetched(found, most)
        except (sqlite3.Error, OverflowError) as error:
            if "interrupted" in str(error):
                raise TooLong from None
            raise HogQLError(f"Error while running the query: {error}") from None
    kinds: list[Type] = [kind for _, kind in statement.columns]
    return Answer(
        columns=[name for name, _ in statement.columns],
        types=[(name, NAMES[kind]) for name, kind in statement.columns],
        rows=[[_shown(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows],
    )


def _fetched(found: sqlite3.Cursor, most: int) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) < most and (row := found.fetchone()):
        rows.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if size > MOST_BYTES:
            raise HogQLError("Memory limit (for query) exceeded")
    return rows


def _shown(value: Any, kind: Type) -> Any:
    """As PostHog writes it in JSON."""
    if not isinstance(value, str):
        return None if isinstance(value, float) and not math.isfinite(value) else value
    if kind in ("DateTime64", "DateTime"):
        written = value.replace(" ", "T")
        return f"{written if kind == 'DateTime64' else written[:19]}Z"
    if kind == "Property":
        return {"true": True, "false": False}.get(value, value)
    return json.loads(value) if kind in ("Array", "Row") else value
