"""What tests of branches share: a project with three rows, a branch of it, and what it has in its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Doc, Neon

WRITER = {"type": "read_write"}


async def project_with_rows(neon: Neon) -> tuple[str, str, str]:
    """Its id, its first branch, and a connection string to a database with a table of three rows."""
    created = await neon.project()
    uri = neon.uri_of(created)
    await neon.rows(uri, "create table note (id serial primary key, body text)")
    await neon.rows(uri, "insert into note (body) select 'row ' || n from generate_series(1, 3) n")
    return created["project"]["id"], created["branch"]["id"], uri


async def branch_of(neon: Neon, project: str, **wanted: Any) -> Doc:
    body = {"branch": wanted, "endpoints": [WRITER]}
    return await neon.done("POST", f"/projects/{project}/branches", body, status=201)


async def bodies(neon: Neon, uri: str) -> list[str]:
    return [row[0] for row in await neon.rows(uri, "select body from note order by id")]
