"""Deleted things that can be had back, the whole state put aside and brought back, and what a person sees."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from server.local.postgres import PostgresServer
    from tests.twins.neon.conftest import Doc, Neon


@pytest.fixture
async def own(
    postgres: PostgresServer, tmp_path: Path, twin_on: Callable[..., AbstractAsyncContextManager[Neon]]
) -> AsyncIterator[Neon]:
    """A twin whose whole state a test may exchange."""
    async with twin_on(postgres, tmp_path) as neon:
        yield neon


async def with_rows(neon: Neon, **wanted: Any) -> tuple[str, str]:
    created = await neon.project(**wanted)
    uri = neon.uri_of(created)
    await neon.rows(uri, "create table note (id serial primary key, body text)")
    await neon.rows(uri, "insert into note (body) values ('kept')")
    return created["project"]["id"], uri


async def notes(neon: Neon, uri: str) -> list[Any]:
    return await neon.rows(uri, "select body from note order by id")


async def test_a_deleted_project_can_be_recovered_with_its_rows_for_a_week(neon: Neon) -> None:
    project, uri = await with_rows(neon, name="recover me")
    await neon.call("DELETE", f"/projects/{project}")
    await neon.call("GET", f"/projects/{project}", status=404)
    assert (await neon.call("GET", "/projects", search="recover me"))["projects"] == []
    [listed] = (await neon.call("GET", "/projects", search="recover me", recoverable="true"))["projects"]
    assert listed["deleted_at"] < listed["recoverable_until"]
    answer = await neon.call("POST", f"/projects/{project}/recover")
    assert [each["name"] for each in answer["branches"]] == ["main"]
    assert await notes(neon, uri) == [["kept"]]
    await neon.call("POST", f"/projects/{project}/recover", status=404)


async def test_a_project_that_was_never_used_is_dropped_at_once_and_still_recovered(neon: Neon) -> None:
    created = await neon.project()
    project, uri = created["project"]["id"], neon.uri_of(created)
    await neon.call("DELETE", f"/projects/{project}")
    await neon.dropped(created["databases"][0]["name"])
    await neon.call("POST", f"/projects/{project}/recover")
    assert await neon.rows(uri, "select 1") == [["1"]]


async def test_a_database_whose_dropping_was_cut_short_holds_nothing_up(neon: Neon) -> None:
    cut, other = await neon.project(), await neon.project()
    names = [each["databases"][0]["name"] for each in (cut, other)]
    async with neon.superuser() as connection:  # as a PostgreSQL that is killed in the middle of it leaves it
        await connection.execute("update pg_database set datconnlimit = -2 where datname = %s", (names[0],))
    for each in (cut, other):
        await neon.call("DELETE", f"/projects/{each['project']['id']}")
    await neon.dropped(*names)
    await neon.call("POST", f"/projects/{cut['project']['id']}/recover")
    assert await neon.rows(neon.uri_of(cut), "select 1") == [["1"]]


async def test_after_a_week_it_is_gone_for_good(own: Neon) -> None:
    project, uri = await with_rows(own)
    await own.call("DELETE", f"/projects/{project}")
    own.clock.advance(days=7, seconds=1)
    await own.call("POST", f"/projects/{project}/recover", status=404)
    assert (await own.call("GET", "/projects", recoverable="true"))["projects"] == []
    other = await own.project()
    await own.call("DELETE", f"/projects/{other['project']['id']}")  # wakes the tidying
    await own.dropped(uri.rpartition("/")[2])


async def test_the_whole_state_is_put_aside_and_brought_back_rows_and_all(own: Neon) -> None:
    project, uri = await with_rows(own, name="before")
    branch = await own.done(
        "POST",
        f"/projects/{project}/branches",
        {"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]},
        status=201,
    )
    dev = branch["connection_uris"][0]["connection_uri"]
    await own.twin("POST", "snapshots", {"name": "good"})
    assert await notes(own, uri) == [["kept"]], "it goes on as it was"
    await own.rows(uri, "drop table note")
    await own.rows(dev, "insert into note (body) values ('dev only')")
    later = await own.project(name="later")
    await own.twin("POST", "snapshots/good/restore")
    assert await notes(own, uri) == [["kept"]]
    assert await notes(own, dev) == [["kept"]]
    assert [each["name"] for each in (await own.call("GET", "/projects"))["projects"]] == ["before"]
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(own.uri_of(later))
    await own.rows(uri, "insert into note (body) values ('writable')")
    await own.twin("DELETE", "snapshots/good")
    await _no_copies(own)


async def test_a_reset_leaves_nothing_but_the_operators_key(own: Neon) -> None:
    created = await own.project()
    uri = own.uri_of(created)
    async with own.account() as (somebody, _):
        await own.twin("POST", "reset")
        await somebody.call("GET", "/users/me", status=401)
    assert (await own.call("GET", "/projects"))["projects"] == []
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(uri)
    await own.dropped(created["databases"][0]["name"], created["roles"][0]["name"])
    assert await own.rows(await own.uri(), "select 1") == [["1"]]


async def _no_copies(neon: Neon) -> None:
    """The copies' folder is gone; the copies follow when the twin next tidies up."""
    project = (await neon.project())["project"]["id"]
    await neon.call("DELETE", f"/projects/{project}")
    async with neon.superuser() as connection, asyncio.timeout(30):
        while True:
            found = await connection.execute("select count(*) from pg_database where datname like 'mk0r_kept_%'")
            if await found.fetchone() == (0,):
                return
            await asyncio.sleep(0.02)


async def seen(neon: Neon, path: str) -> Doc:
    return await neon.twin("GET", f"view?at={path}")


async def test_a_person_sees_projects_branches_databases_tables_and_rows(neon: Neon) -> None:
    project, uri = await with_rows(neon, name="to be seen")
    await neon.rows(uri, "create view secret_view as select 1 as n")
    async with neon.account() as (somebody, told):
        front = await seen(neon, "")
        password = uri.split(":")[2].partition("@")[0]
        assert told["key"] not in str(front)
        assert "console" in str(front)
        del somebody
    [row] = [row for row in front["blocks"][0]["rows"] if row[1] == project]
    assert row[0] == {"text": "to be seen", "to": f"project/{project}"}
    shown = await seen(neon, f"project/{project}")
    branches = next(block for block in shown["blocks"] if block["title"] == "Branches")
    branch = await seen(neon, branches["rows"][0][0]["to"])
    assert password not in str(branch)
    database = await seen(neon, branch["blocks"][0]["rows"][0][0]["to"])
    assert [row[1] for row in database["blocks"][0]["rows"]] == ["table", "view"]
    rows = await seen(neon, database["blocks"][0]["rows"][0][0]["to"])
    assert rows["blocks"][0]["columns"] == ["id", "body"]
    assert rows["blocks"][0]["rows"] == [["1", "kept"]]


async def test_a_view_is_not_run_in_a_superusers_session(neon: Neon) -> None:
    """It would be run with the superuser's rights, and call what the app has written."""
    project, uri = await with_rows(neon)
    await neon.rows(uri, "create function who() returns text language sql as 'select current_user::text'")
    await neon.rows(uri, "create view public.who_is_it as select who()")
    branch = (await neon.call("GET", f"/projects/{project}/branches"))["branches"][0]["id"]
    answer = await neon.api.get(
        "/_twin/view",
        params={"at": f"branch/{branch}/neondb/public/who_is_it"},
        headers={"Authorization": "Bearer admin"},
    )
    assert answer.status_code == 404


async def test_an_apps_own_settings_do_not_reach_the_superusers_session(neon: Neon) -> None:
    project, uri = await with_rows(neon)
    name = uri.rpartition("/")[2]
    await neon.rows(uri, "create function public.starts_with(text, text) returns bool language sql as 'select 1/0 = 1'")
    await neon.rows(uri, "create table public.pg_class (oid oid)")
    await neon.rows(uri, f"alter database {name} set search_path = public, pg_catalog")
    await neon.rows(uri, f"alter database {name} set default_transaction_read_only = on")
    branch = (await neon.call("GET", f"/projects/{project}/branches"))["branches"][0]["id"]
    shown = await seen(neon, f"branch/{branch}/neondb")
    assert [row[0]["text"] for row in shown["blocks"][0]["rows"]] == ["public.note", "public.pg_class"]
    body = {"branch": {"init_source": "schema-only"}}
    await neon.done("POST", f"/projects/{project}/branches", body, status=201)
