"""Neon's API v2 over a real cluster."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from server.local.postgres import PostgresServer
    from tests.twins.neon.conftest import Neon

# The fields Neon's OpenAPI description requires.
REQUIRED = {
    "project": "id platform_id region_id name provisioner pg_version proxy_host branch_logical_size_limit "
    "branch_logical_size_limit_bytes store_passwords cpu_used_sec active_time_seconds compute_time_seconds "
    "written_data_bytes data_transfer_bytes data_storage_bytes_hour creation_source history_retention_seconds "
    "created_at updated_at consumption_period_start consumption_period_end owner_id",
    "branch": "id project_id name current_state state_changed_at creation_source created_at updated_at default "
    "protected cpu_used_sec active_time_seconds compute_time_seconds written_data_bytes data_transfer_bytes",
    "endpoints": "host id project_id branch_id region_id autoscaling_limit_max_cu autoscaling_limit_min_cu type "
    "current_state pooler_enabled pooler_mode disabled passwordless_access creation_source created_at updated_at "
    "settings proxy_host suspend_timeout_seconds provisioner",
    "roles": "branch_id name created_at updated_at",
    "databases": "id branch_id name owner_name created_at updated_at",
    "operations": "id project_id action status failures_count created_at updated_at total_duration_ms",
    "connection_uris": "connection_uri connection_parameters",
}
LIST_ITEM = (
    "active_time id platform_id region_id name pg_version proxy_host branch_logical_size_limit "
    "branch_logical_size_limit_bytes provisioner store_passwords cpu_used_sec creation_source created_at "
    "updated_at owner_id"
)


async def test_a_created_project_has_every_part_and_every_required_field(neon: Neon) -> None:
    created = await neon.project(name="whole")
    assert created.keys() == REQUIRED.keys() | {"endpoints"}
    for part, fields in REQUIRED.items():
        for doc in created[part] if isinstance(created[part], list) else [created[part]]:
            assert set(fields.split()) <= doc.keys(), part
            assert None not in doc.values(), part
    project, branch, endpoint = created["project"], created["branch"], created["endpoints"][0]
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d{8}", project["id"])
    assert branch["id"].startswith("br-")
    assert endpoint["id"].startswith("ep-")
    assert project["name"] == "whole"
    assert (project["region_id"], branch["name"]) == ("aws-us-east-2", "main")
    assert [each["action"] for each in created["operations"]] == ["create_timeline", "start_compute"]
    assert {each["status"] for each in created["operations"]} == {"finished"}


async def test_its_connection_uri_opens_a_database_at_once(neon: Neon) -> None:
    created = await neon.project(pg_version=17)
    uri = neon.uri_of(created)
    url = urlsplit(uri)
    assert (url.scheme, url.hostname, url.port) == ("postgresql", "localhost", neon.postgres.port)
    assert (url.password or "").startswith("npg_")
    assert url.path.startswith("/neondb_")
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        await connection.execute("create table note (id serial primary key, body text)")
        await connection.execute("create extension if not exists citext")
        found = await connection.execute("select current_database(), current_user, current_setting('is_superuser')")
        assert await found.fetchone() == (url.path[1:], url.username, "off")
    assert created["project"]["pg_version"] == neon.postgres.major, "what really runs, not what was asked"


async def test_one_projects_role_cannot_open_anothers_database(neon: Neon) -> None:
    one, other = urlsplit(await neon.uri()), urlsplit(await neon.uri())
    for database in (other.path, "/postgres", "/template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            await psycopg.AsyncConnection.connect(one._replace(path=database).geturl())


async def test_a_role_has_a_connection_limit_and_may_make_no_others(neon: Neon) -> None:
    [row] = await neon.rows(
        await neon.uri(),
        "select rolconnlimit, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        " from pg_roles where rolname = current_user",
    )
    assert int(row[0]) > 0
    assert row[1:] == ["f"] * 5


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic napi_for_these_tests"])
async def test_without_the_key_nothing_is_answered(neon: Neon, authorization: str) -> None:
    answer = await neon.api.get("/api/v2/projects", headers={"Authorization": authorization})
    assert answer.status_code == 401
    body = answer.json()
    assert body["code"] == ""
    assert body["message"] == "supplied credentials do not pass authentication"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("{}", 422),
        ({"project": {"name": "x" * 257}}, 422),
        ({"project": {"pg_version": 13}}, 422),
        ({"project": {"region_id": "mars-north-1"}}, 422),
        ({"project": {"settings": {"quota": {"active_time_seconds": -1}}}}, 422),
        ({"project": {"org_id": "Not An Id"}}, 422),
    ],
)
async def test_a_bad_request_gets_the_vendors_error_body(neon: Neon, body: Any, status: int) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = await neon.api.post("/api/v2/projects", content=content)
    assert answer.status_code == status
    assert answer.json().keys() == {"request_id", "code", "message"}


async def test_what_is_not_there_is_404_in_the_vendors_shape(neon: Neon) -> None:
    project = (await neon.project())["project"]["id"]
    for path in (
        "projects/no-such-00000000",
        f"projects/{project}/operations/nope",
        f"projects/{project}/branches/br-nope/roles",
        f"projects/{project}/connection_uri?database_name=nope&role_name=neondb_owner",
        "no/such/route",
    ):
        answer = await neon.api.get(f"/api/v2/{path}")
        assert answer.status_code == 404, path
        assert answer.json().keys() == {"request_id", "code", "message"}


async def test_a_list_finds_by_part_of_a_name_or_id(neon: Neon) -> None:
    wanted = {(await neon.project(name=f"needle-{n}"))["project"]["id"] for n in range(3)}
    await neon.project(name="hay")
    answer = await neon.call("GET", "/projects", search="needle-")
    listed = answer["projects"]
    assert {each["id"] for each in listed} == wanted
    assert all(set(LIST_ITEM.split()) <= each.keys() for each in listed)
    by_id = await neon.call("GET", "/projects", search=listed[0]["id"])
    assert [each["id"] for each in by_id["projects"]] == [listed[0]["id"]]


async def test_pages_hold_every_project_once_even_when_one_goes_in_between(neon: Neon) -> None:
    made = [(await neon.project(name=f"paged-{n}"))["project"]["id"] for n in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"search": "paged-", "limit": 2}
    while True:
        page = await neon.call("GET", "/projects", **query)
        if not page["projects"]:
            break
        seen += [each["id"] for each in page["projects"]]
        if len(seen) == 2:
            await neon.call("DELETE", f"/projects/{seen[-1]}")  # the very one the cursor came from
        query["cursor"] = page["pagination"]["cursor"]
    assert seen == made


@pytest.mark.parametrize("limit", ["0", "401", "many"])
async def test_a_limit_out_of_range_is_refused(neon: Neon, limit: str) -> None:
    assert (await neon.api.get("/api/v2/projects", params={"limit": limit})).status_code == 422


async def test_a_project_is_changed_only_where_asked(neon: Neon) -> None:
    before = (await neon.project(name="before", settings={"quota": {"active_time_seconds": 60}}))["project"]
    change = {"name": "after", "default_endpoint_settings": {"suspend_timeout_seconds": 600}}
    answer = await neon.api.patch(f"/api/v2/projects/{before['id']}", json={"project": change})
    assert answer.json()["operations"] == []
    after = (await neon.api.get(f"/api/v2/projects/{before['id']}")).json()["project"]
    assert (after["name"], after["settings"]) == ("after", {"quota": {"active_time_seconds": 60}})
    assert after["default_endpoint_settings"]["suspend_timeout_seconds"] == 600
    assert after["default_endpoint_settings"]["autoscaling_limit_min_cu"] == 0.25


async def test_a_deleted_project_is_gone_at_once_and_its_connections_with_it(neon: Neon) -> None:
    created = await neon.project()
    uri, path = neon.uri_of(created), f"/api/v2/projects/{created['project']['id']}"
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        assert (await neon.api.delete(path)).json()["project"]["id"] == created["project"]["id"]
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(uri)
    assert (await neon.api.get(path)).status_code == 404
    assert (await neon.api.delete(path)).status_code == 404


async def test_the_parts_of_a_project_can_be_listed_and_had_one_by_one(neon: Neon) -> None:
    created = await neon.project()
    base = f"/api/v2/projects/{created['project']['id']}"
    branch = f"{base}/branches/{created['branch']['id']}"
    role, database = created["roles"][0]["name"], created["databases"][0]["name"]

    async def get(path: str) -> Any:
        answer = await neon.api.get(path)
        assert answer.status_code == 200, path
        return answer.json()

    operations = (await get(f"{base}/operations"))["operations"]
    assert operations == created["operations"][::-1], "newest first"
    one = await get(f"{base}/operations/{operations[0]['id']}")
    assert one == {"operation": operations[0]}
    assert (await get(f"{base}/operations?limit=1"))["operations"] == operations[:1]
    assert [each["id"] for each in (await get(f"{base}/branches"))["branches"]] == [created["branch"]["id"]]
    assert (await get(branch))["branch"]["name"] == "main"
    for path in (f"{base}/endpoints", f"{branch}/endpoints"):
        assert [each["id"] for each in (await get(path))["endpoints"]] == [created["endpoints"][0]["id"]]
    assert (await get(f"{branch}/databases"))["databases"] == created["databases"]
    assert (await get(f"{branch}/roles"))["roles"][0]["name"] == role
    for name in (role, "neondb_owner"):
        assert (await get(f"{branch}/roles/{name}"))["role"]["name"] == role
    for names in ((database, role), ("neondb", "neondb_owner")):
        query = f"database_name={names[0]}&role_name={names[1]}&pooled=true"
        assert (await get(f"{base}/connection_uri?{query}"))["uri"] == neon.uri_of(created)


async def test_a_password_that_is_not_stored_is_not_revealed(neon: Neon) -> None:
    created = await neon.project(store_passwords=False)
    assert await neon.rows(neon.uri_of(created), "select 1") == [["1"]]
    branch = f"/api/v2/projects/{created['project']['id']}/branches/{created['branch']['id']}"
    answer = await neon.api.get(f"{branch}/roles/{created['roles'][0]['name']}/reveal_password")
    assert answer.status_code == 412


async def test_many_at_once_each_get_their_own_database(neon: Neon) -> None:
    uris = await asyncio.gather(*(neon.uri() for _ in range(10)))
    answers = await asyncio.gather(*(neon.rows(uri, "select current_database()") for uri in uris))
    assert len({rows[0][0] for rows in answers}) == 10


async def test_names_of_one_s_own_are_kept_within_what_postgresql_can_hold(neon: Neon) -> None:
    created = await neon.project(branch={"name": "prod", "database_name": "ü" * 31, "role_name": "me'; --"})
    database, role = created["databases"][0]["name"], created["roles"][0]["name"]
    assert len(database.encode()) <= 63
    assert await neon.rows(neon.uri_of(created), "select current_database(), current_user") == [[database, role]]


async def test_a_project_survives_the_twins_restart(
    postgres: PostgresServer, tmp_path: Path, twin_on: Callable[..., AbstractAsyncContextManager[Neon]]
) -> None:
    async with twin_on(postgres, tmp_path) as neon:
        created = await neon.project(name="kept")
        await neon.rows(neon.uri_of(created), "create table kept ()")
    async with twin_on(postgres, tmp_path) as neon:
        path = f"/api/v2/projects/{created['project']['id']}"
        assert (await neon.api.get(path)).json()["project"]["name"] == "kept"
        assert await neon.rows(neon.uri_of(created), "select to_regclass('kept')") == [["kept"]]


async def test_a_project_whose_creation_was_cut_short_is_dropped_by_the_next_start(
    postgres: PostgresServer, tmp_path: Path, twin_on: Callable[..., AbstractAsyncContextManager[Neon]]
) -> None:
    from server.twins.core import Records

    async with twin_on(postgres, tmp_path) as neon:
        created = await neon.project()
    records = Records(tmp_path / "records.sqlite")
    [stored] = records.all("projects")
    records.put("projects", stored["id"], {**stored, "status": "creating"})  # as a kill in mid-create leaves it
    records.close()
    async with twin_on(postgres, tmp_path) as neon:
        assert (await neon.api.get(f"/api/v2/projects/{stored['id']}")).status_code == 404
        await neon.dropped(created["databases"][0]["name"], created["roles"][0]["name"])


async def test_a_lost_answer_leaves_one_project_that_a_search_finds(neon: Neon) -> None:
    fault = {"method": "POST", "path": "/api/v2/projects", "lose_answer": True, "times": 1}
    admin = {"Authorization": "Bearer admin"}
    assert (await neon.api.post("/_twin/faults", json=fault, headers=admin)).is_success
    with pytest.raises(httpx.TransportError):
        await neon.project(name="lost-answer")
    found = (await neon.api.get("/api/v2/projects", params={"search": "lost-answer"})).json()["projects"]
    assert [each["name"] for each in found] == ["lost-answer"]
