"""Roles and databases of a branch, and the operations that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Doc, Neon


async def branch_of(neon: Neon, **wanted: Any) -> tuple[str, str, str]:
    """Paths of a new project and its branch, and a connection string."""
    created = await neon.project(**wanted)
    project = f"/projects/{created['project']['id']}"
    return project, f"{project}/branches/{created['branch']['id']}", neon.uri_of(created)


async def role_on(neon: Neon, branch: str, name: str, **more: Any) -> Doc:
    return (await neon.done("POST", f"{branch}/roles", {"role": {"name": name, **more}}, status=201))["role"]


async def test_a_role_and_a_database_of_its_own_are_made_and_connect(neon: Neon) -> None:
    project, branch, uri = await branch_of(neon)
    role = await role_on(neon, branch, "analyst")
    assert role["password"].startswith("npg_")
    wanted = {"database": {"name": "reports", "owner_name": "analyst"}}
    made = await neon.done("POST", f"{branch}/databases", wanted, status=201)
    assert made["database"]["owner_name"] == role["name"]
    there = await neon.connection_uri(project.rpartition("/")[2], database_name="reports", role_name="analyst")
    assert urlsplit(there).password == role["password"]
    await neon.rows(there, "create table kept (n int)")
    across = urlsplit(uri)._replace(path=urlsplit(there).path).geturl()
    assert await neon.rows(across, "select to_regclass('kept')") == [["kept"]], (
        "a branch's roles enter all its databases"
    )
    names = [each["name"] for each in (await neon.call("GET", f"{branch}/databases"))["databases"]]
    assert names == [urlsplit(uri).path[1:], urlsplit(there).path[1:]]


async def test_what_is_there_already_cannot_be_made_again(neon: Neon) -> None:
    _, branch, _ = await branch_of(neon)
    again = await neon.call("POST", f"{branch}/roles", {"role": {"name": "neondb_owner"}}, status=409)
    assert again["message"].startswith("role already exists")
    wanted = {"database": {"name": "neondb", "owner_name": "neondb_owner"}}
    again = await neon.call("POST", f"{branch}/databases", wanted, status=409)
    assert again["message"].startswith("database already exists")
    missing = {"database": {"name": "other", "owner_name": "nobody"}}
    refused = await neon.call("POST", f"{branch}/databases", missing, status=404)
    assert refused["message"] == 'database owner not found; role_name:"nobody"'


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32, "nul\0", "postgres", "pg_monitor", "PUBLIC"])
async def test_a_name_that_cannot_be_is_refused(neon: Neon, name: str) -> None:
    _, branch, _ = await branch_of(neon)
    await neon.call("POST", f"{branch}/roles", {"role": {"name": name}}, status=422)
    wanted = {"database": {"name": name, "owner_name": "neondb_owner"}}
    await neon.call("POST", f"{branch}/databases", wanted, status=422)


async def test_two_long_names_that_differ_at_the_end_stay_two(neon: Neon) -> None:
    _, branch, _ = await branch_of(neon)
    for end in "ab":
        wanted = {"database": {"name": "x" * 62 + end, "owner_name": "neondb_owner"}}
        made = await neon.done("POST", f"{branch}/databases", wanted, status=201)
        assert len(made["database"]["name"].encode()) <= 63
    assert len({each["name"] for each in (await neon.call("GET", f"{branch}/databases"))["databases"]}) == 3


async def test_a_reset_password_counts_when_its_operation_is_over_and_cuts_off_the_old(neon: Neon) -> None:
    _, branch, old = await branch_of(neon)
    assert await neon.rows(old, "select 1") == [["1"]]
    role = f"{branch}/roles/neondb_owner"
    async with await psycopg.AsyncConnection.connect(old, autocommit=True) as connection:
        answer = await neon.done("POST", f"{role}/reset_password")
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    new = answer["role"]["password"]
    assert await neon.call("GET", f"{role}/reveal_password") == {"password": new}
    refused = await neon.sql(old, {"query": "select 1"})
    assert "password authentication failed" in refused.json()["message"]
    assert await neon.rows(old.replace(urlsplit(old).password or "", new), "select 1") == [["1"]]


async def test_a_role_that_cannot_log_in_has_no_password(neon: Neon) -> None:
    project, branch, _ = await branch_of(neon)
    role = await role_on(neon, branch, "group", no_login=True)
    assert ("password" in role, role["authentication_method"]) == (False, "no_login")
    await neon.call("GET", f"{branch}/roles/group/reveal_password", status=404)
    await neon.call("POST", f"{branch}/roles/group/reset_password", status=422)
    await neon.call("GET", f"{project}/connection_uri", database_name="neondb", role_name="group", status=404)


async def test_a_deleted_role_leaves_what_it_made_to_the_databases_owner(neon: Neon) -> None:
    project, branch, uri = await branch_of(neon)
    await role_on(neon, branch, "passing")
    owner = urlsplit(uri).username or ""
    there = await neon.connection_uri(project.rpartition("/")[2], database_name="neondb", role_name="passing")
    passing = urlsplit(there).username or ""
    await neon.rows(uri, "create table shared (n int)")
    await neon.rows(uri, f"grant all on schema public to {passing}")
    await neon.rows(uri, f"grant select on shared to {passing}")
    await neon.rows(there, "create table made (n int)")
    await neon.done("DELETE", f"{branch}/roles/passing")
    assert await neon.rows(uri, "select tableowner from pg_tables where tablename = 'made'") == [[owner]]
    assert await neon.rows(uri, "select relacl::text like '%passing%' from pg_class where relname = 'shared'") == [
        ["f"]
    ]
    await neon.dropped(passing)
    await neon.call("GET", f"{branch}/roles/passing", status=404)


async def test_deleting_a_role_on_one_branch_leaves_it_on_the_other(neon: Neon) -> None:
    project, branch, _ = await branch_of(neon)
    await role_on(neon, branch, "both")
    made = await neon.done("POST", f"{project}/branches", {"endpoints": [{"type": "read_write"}]}, status=201)
    child = f"{project}/branches/{made['branch']['id']}"
    await neon.done("DELETE", f"{child}/roles/both")
    there = await neon.connection_uri(project.rpartition("/")[2], database_name="neondb", role_name="both")
    assert await neon.rows(there, "select 1") == [["1"]]


async def test_the_owner_of_a_database_stays(neon: Neon) -> None:
    _, branch, _ = await branch_of(neon)
    refused = await neon.call("DELETE", f"{branch}/roles/neondb_owner", status=422)
    assert "owns the database" in refused["message"]


async def test_a_database_is_renamed_given_away_and_deleted(neon: Neon) -> None:
    project, branch, uri = await branch_of(neon)
    await neon.rows(uri, "create table kept (n int)")
    await role_on(neon, branch, "heir")
    await neon.call("PATCH", f"{branch}/databases/neondb", {"database": {"owner_name": "nobody"}}, status=404)
    change = {"database": {"name": "renamed", "owner_name": "heir"}}
    answer = await neon.done("PATCH", f"{branch}/databases/neondb", change)
    assert answer["database"]["name"].startswith("renamed_")
    there = await neon.connection_uri(project.rpartition("/")[2], database_name="renamed")
    owner = "select pg_get_userbyid(datdba) like 'heir%' from pg_database where datname = current_database()"
    assert await neon.rows(there, owner) == [["t"]]
    assert await neon.rows(there, "select to_regclass('kept')") == [["kept"]]
    await neon.done("DELETE", f"{branch}/databases/renamed")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        await psycopg.AsyncConnection.connect(there)
    await neon.call("DELETE", f"{branch}/databases/renamed", status=404)
    wanted = {"database": {"name": "renamed", "owner_name": "heir"}}
    await neon.done("POST", f"{branch}/databases", wanted, status=201)
    assert await neon.rows(there, "select to_regclass('kept')") == [[None]], "another one of the same name"


async def test_a_role_without_rights_makes_no_roles_and_no_databases(neon: Neon) -> None:
    _, _, uri = await branch_of(neon)
    for statement in ("create role other", "create database other"):
        refused = await neon.sql(uri, {"query": statement})
        assert refused.json()["code"] == "42501"
