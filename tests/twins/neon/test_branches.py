"""Branches over a real cluster: real copies, real roles, and connection strings that last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.twins.neon.branching import WRITER, bodies, branch_of, project_with_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from server.local.postgres import PostgresServer
    from tests.twins.neon.conftest import Doc, Neon


async def test_a_branch_has_its_parents_rows_and_goes_its_own_way(neon: Neon) -> None:
    project, main, uri = await project_with_rows(neon)
    made = await branch_of(neon, project, name="dev")
    assert made["branch"]["parent_id"] == main
    assert made["branch"]["current_state"] == "init", "as it is before its operations are over"
    assert [each["action"] for each in made["operations"]] == ["create_branch", "start_compute"]
    assert [each["status"] for each in made["operations"]] == ["running", "scheduling"]
    [details] = made["connection_uris"]
    dev = details["connection_uri"]
    assert await bodies(neon, dev) == ["row 1", "row 2", "row 3"]
    await neon.rows(dev, "insert into note (body) values ('only here')")
    await neon.rows(uri, "delete from note where body = 'row 1'")
    assert await bodies(neon, dev) == ["row 1", "row 2", "row 3", "only here"]
    assert await bodies(neon, uri) == ["row 2", "row 3"]
    seen = (await neon.call("GET", f"/projects/{project}/branches/{made['branch']['id']}"))["branch"]
    assert (seen["current_state"], seen["logical_size"] > 0) == ("ready", True)
    assert "pending_state" not in seen


async def test_a_branch_logs_in_with_its_parents_password_to_its_own_database_only(neon: Neon) -> None:
    project, _, uri = await project_with_rows(neon)
    made = await branch_of(neon, project)
    dev: str = made["connection_uris"][0]["connection_uri"]
    assert urlsplit(dev).password == urlsplit(uri).password
    for mine, other in ((uri, dev), (dev, uri)):
        across = urlsplit(mine)._replace(path=urlsplit(other).path).geturl()
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            await psycopg.AsyncConnection.connect(across)
    branch = f"/projects/{project}/branches/{made['branch']['id']}"
    reset = await neon.done("POST", f"{branch}/roles/neondb_owner/reset_password")
    refused = await neon.sql(dev, {"query": "select 1"})
    assert "password authentication failed" in refused.json()["message"]
    assert await bodies(neon, uri), "the parent's password is still the old one"
    new = dev.replace(urlsplit(dev).password or "", reset["role"]["password"])
    assert await bodies(neon, new)


async def test_what_a_branch_makes_belongs_to_its_owner_even_after_a_reset_of_the_session(neon: Neon) -> None:
    project, _, uri = await project_with_rows(neon)
    dev = (await branch_of(neon, project))["connection_uris"][0]["connection_uri"]
    async with await psycopg.AsyncConnection.connect(dev, autocommit=True) as connection:
        await connection.execute("discard all")
        await connection.execute("create table made_here (n int)")
        await connection.execute("alter table note add column extra text")
        found = await connection.execute(
            "select distinct pg_get_userbyid(relowner) from pg_class where relname in ('note', 'made_here')"
        )
        assert await found.fetchall() == [(urlsplit(uri).username,)]


async def test_grants_between_roles_are_copied_as_they_are(neon: Neon) -> None:
    project, main, uri = await project_with_rows(neon)
    branch = f"/projects/{project}/branches/{main}"
    analyst = (await neon.done("POST", f"{branch}/roles", {"role": {"name": "analyst"}}, status=201))["role"]
    await neon.rows(uri, f'grant select on note to "{analyst["name"]}"')
    made = await neon.done("POST", f"/projects/{project}/branches", {"endpoints": [WRITER]}, status=201)
    assert "connection_uris" not in made, "with more than one role there is no telling which"
    there = await neon.connection_uri(project, branch_id=made["branch"]["id"], role_name="analyst")
    assert await bodies(neon, there) == ["row 1", "row 2", "row 3"]
    refused = await neon.sql(there, {"query": "delete from note"})
    assert refused.json()["code"] == "42501"


async def test_a_branch_without_a_compute_cannot_be_connected_to_until_it_has_one(neon: Neon) -> None:
    project, _, _ = await project_with_rows(neon)
    made = await neon.done("POST", f"/projects/{project}/branches", status=201)
    branch = made["branch"]["id"]
    assert (made["branch"]["name"], made["endpoints"]) == (branch, [])
    query: Doc = {"branch_id": branch, "database_name": "neondb", "role_name": "neondb_owner"}
    await neon.call("GET", f"/projects/{project}/connection_uri", status=404, **query)
    wanted = {"endpoint": {"branch_id": branch, **WRITER}}
    await neon.done("POST", f"/projects/{project}/endpoints", wanted, status=201)
    uri = (await neon.call("GET", f"/projects/{project}/connection_uri", **query))["uri"]
    assert len(await bodies(neon, uri)) == 3
    again = await neon.call("POST", f"/projects/{project}/endpoints", wanted, status=409)
    assert again["message"].startswith("read_write endpoint already exists")


async def test_a_schema_only_branch_is_a_root_with_no_rows(neon: Neon) -> None:
    project, _, uri = await project_with_rows(neon)
    await neon.rows(uri, "create materialized view seen as select count(*) as n from note")
    made = await branch_of(neon, project, init_source="schema-only")
    assert "parent_id" not in made["branch"]
    there = made["connection_uris"][0]["connection_uri"]
    assert await bodies(neon, there) == []
    assert await neon.rows(there, "insert into note (body) values ('first') returning id") == [["1"]]
    assert len(await bodies(neon, uri)) == 3


async def test_branches_of_a_protected_branch_get_passwords_of_their_own(neon: Neon) -> None:
    project, main, uri = await project_with_rows(neon)
    await neon.call("PATCH", f"/projects/{project}/branches/{main}", {"branch": {"protected": True}})
    dev: str = (await branch_of(neon, project))["connection_uris"][0]["connection_uri"]
    assert urlsplit(dev).password != urlsplit(uri).password
    assert len(await bodies(neon, dev)) == 3


async def test_a_copy_waits_for_the_request_under_way_and_later_requests_wait_for_it(neon: Neon) -> None:
    project, _, uri = await project_with_rows(neon)
    slow = asyncio.create_task(neon.rows(uri, "select pg_sleep(0.3), count(*) from note"))
    async with neon.superuser() as watching, asyncio.timeout(10):
        while True:
            found = await watching.execute(
                "select count(*) from pg_stat_activity where query like 'select pg_sleep(0.3)%'"
            )
            if await found.fetchone() == (1,):
                break
    making = asyncio.create_task(branch_of(neon, project))
    others = [neon.rows(uri, "select count(*) from note") for _ in range(20)]
    assert [rows for [rows] in await asyncio.gather(*others)] == [["3"]] * 20
    assert (await slow)[0][1] == "3"
    assert len(await bodies(neon, (await making)["connection_uris"][0]["connection_uri"])) == 3


async def test_names_are_understood_as_asked_and_as_on_the_cluster_of_any_branch(neon: Neon) -> None:
    project, main, uri = await project_with_rows(neon)
    made = await branch_of(neon, project)
    branch = f"/projects/{project}/branches/{made['branch']['id']}"
    string: str = made["connection_uris"][0]["connection_uri"]
    there = urlsplit(string)
    for database, role in (("neondb", "neondb_owner"), (urlsplit(uri).path[1:], urlsplit(uri).username)):
        assert (await neon.call("GET", f"{branch}/databases/{database}"))["database"]["name"] == there.path[1:]
        assert (await neon.call("GET", f"{branch}/roles/{role}"))["role"]["name"] == there.username
    await neon.call("GET", f"/projects/{project}/branches/{main}/databases/nope", status=404)


async def test_branches_are_found_sorted_paged_and_counted(neon: Neon) -> None:
    project, main, _ = await project_with_rows(neon)
    made = {name: (await branch_of(neon, project, name=name))["branch"]["id"] for name in ("b", "a")}
    path = f"/projects/{project}/branches"
    by_name = (await neon.call("GET", path, sort_by="name", sort_order="asc"))["branches"]
    assert [each["name"] for each in by_name] == ["a", "b", "main"]
    first = await neon.call("GET", path, sort_by="name", sort_order="asc", limit=2)
    rest = await neon.call("GET", path, sort_by="name", sort_order="asc", limit=2, cursor=first["pagination"]["next"])
    assert [each["id"] for each in first["branches"] + rest["branches"]] == [made["a"], made["b"], main]
    assert "next" not in rest["pagination"]
    assert [each["id"] for each in (await neon.call("GET", path, search=made["a"]))["branches"]] == [made["a"]]
    assert await neon.call("GET", f"{path}/count") == {"count": 3}
    assert await neon.call("GET", f"{path}/count", search="mai") == {"count": 1}
    await neon.call("GET", path, sort_by="size", status=422)


async def test_an_annotation_comes_back_with_the_branch_and_in_the_list(neon: Neon) -> None:
    project, _, _ = await project_with_rows(neon)
    body = {"branch": {"name": "noted"}, "annotation_value": {"turn": "3"}}
    made = await neon.done("POST", f"/projects/{project}/branches", body, status=201)
    branch = made["branch"]["id"]
    seen = (await neon.call("GET", f"/projects/{project}/branches/{branch}"))["annotation"]
    assert (seen["object"], seen["value"]) == ({"type": "console/branch", "id": branch}, {"turn": "3"})
    listed = await neon.call("GET", f"/projects/{project}/branches")
    assert [*listed["annotations"]] == [branch]


@pytest.mark.parametrize(
    "body",
    [
        {"branch": {"name": ""}},
        {"branch": {"name": "x" * 257}},
        {"branch": {"parent_id": "NOT AN ID"}},
        {"branch": {"init_source": "nothing"}},
        {"branch": {"parent_timestamp": "yesterday"}},
        {"endpoints": [{"type": "read_only_sometimes"}]},
        {"endpoints": [{"type": None}]},
        {"annotation_value": {str(n): "x" for n in range(51)}},
    ],
)
async def test_a_branch_that_cannot_be_is_refused(neon: Neon, body: Doc) -> None:
    project = (await neon.project())["project"]["id"]
    refused = await neon.call("POST", f"/projects/{project}/branches", body, status=422)
    assert refused.keys() == {"request_id", "code", "message"}
    await neon.call("POST", f"/projects/{project}/branches", {"branch": {"parent_id": "br-not-there-1"}}, status=404)


async def test_a_branch_from_a_moment_that_was_not_kept_is_refused_not_made_up(neon: Neon) -> None:
    project, _, _ = await project_with_rows(neon)
    path = f"/projects/{project}/branches"
    for wanted in ({"parent_timestamp": "2020-01-01T00:00:00Z"}, {"parent_lsn": "0/1"}):
        refused = await neon.call("POST", path, {"branch": wanted}, status=422)
        assert "nothing is kept" in refused["message"]
    await neon.call("POST", path, {"branch": {"parent_timestamp": "2999-01-01T00:00:00Z"}}, status=422)
    both = {"branch": {"parent_timestamp": "2020-01-01T00:00:00Z", "parent_lsn": "0/1"}}
    await neon.call("POST", path, both, status=400)


async def test_a_copy_cut_short_by_the_twins_death_is_finished_by_the_next(
    postgres: PostgresServer, tmp_path: Path, twin_on: Callable[..., AbstractAsyncContextManager[Neon]]
) -> None:
    async with twin_on(postgres, tmp_path) as neon:
        project, _, _ = await project_with_rows(neon)
        await neon.twin("POST", "faults", {"method": "OPERATION", "path": "/operations/create_branch", "hold": "cut"})
        made = await neon.call("POST", f"/projects/{project}/branches", {"endpoints": [WRITER]}, status=201)
    async with twin_on(postgres, tmp_path) as neon:
        for operation in made["operations"]:
            await neon.over(operation)
        assert len(await bodies(neon, made["connection_uris"][0]["connection_uri"])) == 3
