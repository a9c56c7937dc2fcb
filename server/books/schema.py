"""The server's own tables. `prepare` makes what is missing, in a new database and in one of an earlier version."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn

METADATA = sa.MetaData()
_MOMENT = sa.DateTime(timezone=True)
_SLUG = sa.String(12)
# Any number does, as long as every server takes the same one.
_ADVISORY_LOCK = 0x6D6B3072

SESSIONS = sa.Table(
    "sessions",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("key_hash", sa.String(64), nullable=False),
    sa.Column("idea", sa.Text, nullable=False, default=""),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("services", sa.JSON, nullable=False),
    sa.Column("created_at", _MOMENT, nullable=False, index=True),
    sa.Column("round", sa.JSON, doc="the legs this generation was started for"),
    sa.Column("used_at", _MOMENT, doc="when its key was last used, to the hour"),
    sa.Column("ending_at", _MOMENT, index=True, doc="when its end was asked for; nothing is made after that"),
)
LEGS = sa.Table(
    "legs",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("intent_at", _MOMENT, doc="set while something may exist at the vendor"),
    sa.Column("outcome", sa.JSON),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0", doc="the fence: only the newest may record"),
    sa.Column("life", sa.Integer, nullable=False, server_default="1", doc="raised when its resources were removed"),
)
SECRETS = sa.Table(
    "secrets",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("leg", sa.String(16), nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", _MOMENT, nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
)
WORKERS = sa.Table(
    "workers",
    METADATA,
    sa.Column("executor", sa.String(128), primary_key=True),
    sa.Column("beat_at", sa.Float, nullable=False, doc="seconds since 1970, by the database's own clock"),
)
TURNS = sa.Table(
    "turns",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True, doc="one limit of one vendor, as in `github 80/m`"),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("held_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("put_off", sa.Float, nullable=False, server_default="0", doc="by what booked turns were, in all"),
)
SLOTS = sa.Table(
    "slots",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True, doc="a ring: turn number modulo the limit"),
    sa.Column("at", sa.Float, nullable=False),
)

TRAJECTORIES = sa.Table(
    "trajectories",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, doc="which run of the session"),
    sa.Column("told", sa.JSON, nullable=False),
)
JOBS = sa.Table(
    "jobs",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("schedule", sa.String(100), nullable=False),
    sa.Column("next_at", sa.Float, nullable=False, index=True, doc="seconds since 1970"),
)

POOL = sa.Table(
    "pool",
    METADATA,
    sa.Column("slug", _SLUG, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("recipe", sa.String(64), nullable=False, doc="a digest of what it was made from"),
    sa.Column("made_at", sa.Float, nullable=False, doc="seconds since 1970, by the database's own clock"),
    sa.Column("since", sa.Float, nullable=False, doc="when it came into its state, likewise"),
)


def prepare(connection: sa.Connection) -> None:
    """Have every table, column and index. Run it inside one write transaction; several servers may do so at once."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    METADATA.create_all(connection)
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                written = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {written}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)
