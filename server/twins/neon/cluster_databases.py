"""Databases of the cluster: made, copied, renamed, shut, measured, dropped. Every call may be made twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

# What CREATE DATABASE copies has a number below; what anybody made afterwards has one above.
FIRST_NORMAL_OBJECT = 16_384
HALF_DROPPED = -2  # PostgreSQL, pg_database.datconnlimit: "the database is invalid"
MADE_IN = (
    "pg_class",
    "pg_proc",
    "pg_type",
    "pg_namespace",
    "pg_extension",
    "pg_default_acl",
    "pg_largeobject_metadata",
    "pg_event_trigger",
)


async def seal(session: psycopg.AsyncConnection, database: str) -> None:
    """Nobody enters who was not let in by name."""
    await session.execute(SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(Identifier(database)))


async def existing(session: psycopg.AsyncConnection, names: Sequence[str]) -> set[str]:
    """One whose dropping was cut short is none: nobody can enter it, and the rest of it is dropped now."""
    found = await session.execute("SELECT datname, datconnlimit FROM pg_database WHERE datname = ANY(%s)", ([*names],))
    there = dict(await found.fetchall())
    for name in [name for name, limit in there.items() if limit == HALF_DROPPED]:
        await drop(session, name)
        del there[name]
    return set(there)


async def identities(session: psycopg.AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """What stays the same when a database is renamed, by the name it has now."""
    found = await session.execute("SELECT datname, oid::int8 FROM pg_database WHERE datname = ANY(%s)", ([*names],))
    return dict(await found.fetchall())


async def copy(session: psycopg.AsyncConnection, source: str, target: str) -> None:
    """Everything in it, with its owners and grants; whoever is connected to `source` must have been shut out."""
    if target in await existing(session, [target]):
        return
    owner = await (
        await session.execute("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (source,))
    ).fetchone()
    if owner is None:
        raise errors.InvalidCatalogName(f"there is no database {source}")
    statement = SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
    await session.execute(statement.format(Identifier(target), Identifier(source), Identifier(owner[0])))
    await seal(session, target)


async def rename(session: psycopg.AsyncConnection, new_names: Mapping[str, str]) -> None:
    """All at once, whatever chains the names form; nobody may be connected. What is not there is left out."""
    there = await existing(session, [*new_names])
    async with session.transaction():
        for number, old in enumerate(sorted(there)):
            await _rename(session, old, f"mk0r_between_{number}")
        for number, old in enumerate(sorted(there)):
            await _rename(session, f"mk0r_between_{number}", new_names[old])


async def _rename(session: psycopg.AsyncConnection, old: str, new: str) -> None:
    await session.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(old), Identifier(new)))


async def shut(session: psycopg.AsyncConnection, database: str) -> None:
    """Nobody is connected any more, and nobody can connect."""
    if await existing(session, [database]):
        await session.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(database)))
        await hang_up(session, database)


async def reopen(session: psycopg.AsyncConnection, database: str) -> None:
    if await existing(session, [database]):
        await session.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(database)))


async def hang_up(session: psycopg.AsyncConnection, database: str) -> None:
    """Ends every connection, and returns when they have ended (or after two seconds)."""
    await session.execute(
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        (database,),
    )


async def empty_tables(session: psycopg.AsyncConnection) -> None:
    """Of the database this session is in: the schema stays, every row goes, and no trigger is run.

    Raises FeatureNotSupported where a trigger says that it is always run.
    """
    await session.execute("SET session_replication_role = replica")
    always = await session.execute(
        "SELECT FROM pg_trigger WHERE tgtype::int & 32 <> 0 AND tgenabled IN ('A', 'R') AND NOT tgisinternal LIMIT 1"
    )
    if await always.fetchone() is not None:
        raise errors.FeatureNotSupported("a trigger is always run before its table is emptied")
    found = await session.execute(
        "SELECT c.oid::regclass::text, c.relkind = 'm' FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm')"
        " AND c.oid >= %s AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')",
        (FIRST_NORMAL_OBJECT,),
    )
    relations = await found.fetchall()
    if tables := ", ".join(name for name, is_view in relations if not is_view):
        await session.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE".encode())
    for name, is_view in relations:
        if is_view:
            await session.execute(f"REFRESH MATERIALIZED VIEW {name} WITH NO DATA".encode())


async def untouched(session: psycopg.AsyncConnection) -> bool:
    """Whether nobody has ever made anything in the database this session is in."""
    looks = [
        SQL("EXISTS (SELECT FROM {} WHERE oid >= {})").format(Identifier(each), FIRST_NORMAL_OBJECT) for each in MADE_IN
    ]
    found = await session.execute(SQL("SELECT {}").format(SQL(" OR ").join(looks)))
    return await found.fetchone() == (False,)


async def sizes(session: psycopg.AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """Bytes on disk, by name."""
    found = await session.execute(
        "SELECT datname, pg_database_size(oid) FROM pg_database WHERE datname = ANY(%s)", ([*names],)
    )
    return dict(await found.fetchall())


async def position(session: psycopg.AsyncConnection) -> str:
    """The end of the log now: a log sequence number, `0/1964350`."""
    row = await (await session.execute("SELECT pg_current_wal_lsn()::text")).fetchone()
    return row[0] if row else "0/0"


async def drop(session: psycopg.AsyncConnection, database: str) -> None:
    await session.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))


async def own(session: psycopg.AsyncConnection, database: str, owner: str) -> None:
    await session.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), Identifier(owner)))


async def admit(session: psycopg.AsyncConnection, database: str, groups: Sequence[str], logins: Sequence[str]) -> None:
    """Exactly `logins` may connect; `groups` may use temporary tables, once one of their logins is in."""
    found = await session.execute(
        "SELECT DISTINCT pg_get_userbyid(a.grantee), a.grantee = 0 FROM pg_database d,"
        " aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a"
        " WHERE d.datname = %s AND a.privilege_type = 'CONNECT'",
        (database,),
    )
    name = Identifier(database)
    async with session.transaction():
        for grantee, public in await found.fetchall():
            if public or grantee not in logins:
                who = SQL("PUBLIC") if public else Identifier(grantee)
                await session.execute(SQL("REVOKE CONNECT ON DATABASE {} FROM {}").format(name, who))
        await session.execute(SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(name))
        if groups:
            who = SQL(", ").join(map(Identifier, groups))
            await session.execute(SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(name, who))
        if logins:
            who = SQL(", ").join(map(Identifier, logins))
            await session.execute(SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, who))
