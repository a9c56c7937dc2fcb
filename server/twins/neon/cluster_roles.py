"""Roles of the cluster: who owns a project's things, and who logs in to a branch.

What a role of a project makes belongs to one role on the cluster, the *owner*, on every branch; so a copied
database needs no owner and no grant rewritten. The project's first branch logs in as the owners themselves.
Every other branch has *logins* of its own: members that begin each session as their owner, and whose
passwords and databases are theirs alone. Every call may be made twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from server.secrets import Secret

CONNECTION_LIMIT = 40


def verifier(session: psycopg.AsyncConnection, role: str, password: Secret) -> str:
    """What PostgreSQL checks the password with; only this is sent, so the password is in no statement it logs."""
    return session.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256").decode()


async def existing(session: psycopg.AsyncConnection, names: Sequence[str]) -> list[str]:
    found = await session.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", ([*names],))
    return [name for (name,) in await found.fetchall()]


async def ensure(session: psycopg.AsyncConnection, role: str) -> None:
    if not await existing(session, [role]):
        await session.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))


async def let_in(session: psycopg.AsyncConnection, role: str, verifier: str) -> None:
    await session.execute(
        SQL("ALTER ROLE {} LOGIN CONNECTION LIMIT {} PASSWORD {}").format(
            Identifier(role), Literal(CONNECTION_LIMIT), Literal(verifier)
        )
    )


async def keep_out(session: psycopg.AsyncConnection, role: str) -> None:
    await session.execute(SQL("ALTER ROLE {} NOLOGIN").format(Identifier(role)))


async def act_as(session: psycopg.AsyncConnection, login: str, owner: str) -> None:
    """`login` begins its sessions as `owner`; on its own it has no right of the owner's."""
    await session.execute(
        SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(Identifier(owner), Identifier(login))
    )
    await session.execute(SQL("ALTER ROLE {} SET role TO {}").format(Identifier(login), Literal(owner)))


async def only_read(session: psycopg.AsyncConnection, login: str) -> None:
    """`login` may read every table of a database it can connect to, and has no right to change one."""
    await session.execute(SQL("GRANT pg_read_all_data TO {}").format(Identifier(login)))
    await begin_read_only(session, login, read_only=True)


async def begin_read_only(session: psycopg.AsyncConnection, login: str, *, read_only: bool) -> None:
    change = "SET default_transaction_read_only TO on" if read_only else "RESET default_transaction_read_only"
    await session.execute(SQL("ALTER ROLE {} ").format(Identifier(login)) + SQL(change))


async def hang_up(session: psycopg.AsyncConnection, logins: Sequence[str]) -> None:
    await session.execute(
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = ANY(%s)", ([*logins],)
    )


async def give_up(session: psycopg.AsyncConnection, owner: str, heir: str) -> None:
    """In the database this session is in: what `owner` owns becomes the heir's, what it was granted is gone."""
    async with session.transaction():
        keeping = await session.execute(
            "SELECT datname FROM pg_database WHERE datdba = (SELECT oid FROM pg_roles WHERE rolname = %s)"
            " AND datname <> current_database()",
            (owner,),
        )
        others = [name for (name,) in await keeping.fetchall()]
        who = Identifier(owner)
        await session.execute(SQL("REASSIGN OWNED BY {} TO {}").format(who, Identifier(heir)))
        for database in others:  # REASSIGN also gives away the databases of other branches
            await session.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), who))
        await session.execute(SQL("DROP OWNED BY {}").format(who))


async def drop(session: psycopg.AsyncConnection, role: str) -> bool:
    """Whether it is gone; something that is kept may still belong to it."""
    try:
        await session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
    except (errors.DependentObjectsStillExist, errors.ObjectInUse):
        return False
    return True
