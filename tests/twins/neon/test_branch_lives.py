"""A branch's life: renamed, made the default, protected, deleted, and had back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.twins.neon.branching import bodies, branch_of, project_with_rows

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Neon


async def test_a_branch_is_renamed_and_made_the_default(neon: Neon) -> None:
    project, main, _ = await project_with_rows(neon)
    branch = (await branch_of(neon, project, name="next"))["branch"]["id"]
    path = f"/projects/{project}/branches/{branch}"
    renamed = await neon.call("PATCH", path, {"branch": {"name": "newest"}})
    assert (renamed["branch"]["name"], renamed["operations"]) == ("newest", [])
    taken = await neon.call("PATCH", path, {"branch": {"name": "main"}}, status=409)
    assert "already exists" in taken["message"]
    assert (await neon.call("POST", f"{path}/set_as_default"))["branch"]["default"] is True
    assert (await neon.call("GET", f"/projects/{project}/branches/{main}"))["branch"]["default"] is False
    uri = await neon.call(
        "GET", f"/projects/{project}/connection_uri", database_name="neondb", role_name="neondb_owner"
    )
    assert branch.replace("-", "_") in uri["uri"]


async def test_the_default_a_protected_one_and_one_with_children_stay(neon: Neon) -> None:
    project, main, _ = await project_with_rows(neon)
    parent = (await branch_of(neon, project))["branch"]["id"]
    child = (await branch_of(neon, project, parent_id=parent))["branch"]["id"]
    path = f"/projects/{project}/branches"
    await neon.call("DELETE", f"{path}/{main}", status=422)
    await neon.call("DELETE", f"{path}/{parent}", status=422)
    await neon.call("PATCH", f"{path}/{child}", {"branch": {"protected": True}})
    await neon.call("DELETE", f"{path}/{child}", status=422)
    await neon.call("PATCH", f"{path}/{child}", {"branch": {"protected": False}})
    await neon.done("DELETE", f"{path}/{child}")
    await neon.done("DELETE", f"{path}/{parent}")


async def test_a_deleted_branch_is_out_of_reach_and_can_be_had_back_for_a_week(neon: Neon) -> None:
    project, _, _ = await project_with_rows(neon)
    made = await branch_of(neon, project, name="gone")
    uri, path = made["connection_uris"][0]["connection_uri"], f"/projects/{project}/branches/{made['branch']['id']}"
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        answer = await neon.done("DELETE", path)
        assert [each["action"] for each in answer["operations"]] == ["suspend_compute", "delete_timeline"]
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(uri)
    await neon.call("GET", path, status=404)
    await neon.call("DELETE", path, status=204)
    [kept] = (await neon.call("GET", f"/projects/{project}/branches", search="gone", include_deleted="true"))[
        "branches"
    ]
    assert kept["recovery"]["deletion_method"] == "user"
    recovered = await neon.call("POST", f"{path}/recover")
    assert recovered["endpoints"][0]["current_state"] == "idle"
    await _quiet(neon, project)
    assert len(await bodies(neon, uri)) == 3
    await neon.done("DELETE", path)
    neon.clock.advance(days=8)
    try:
        left = (await neon.call("GET", f"/projects/{project}/branches", include_deleted="true"))["branches"]
        assert [each["name"] for each in left] == ["main"]
        await neon.call("POST", f"{path}/recover", status=404)
    finally:
        neon.clock.advance(days=-8)


async def test_a_branch_deleted_for_good_leaves_nothing_on_the_cluster(neon: Neon) -> None:
    project, _, _ = await project_with_rows(neon)
    made = await branch_of(neon, project)
    path = f"/projects/{project}/branches/{made['branch']['id']}"
    await neon.done("DELETE", path, hard_delete="true")
    await neon.dropped(made["databases"][0]["name"], made["roles"][0]["name"])
    await neon.call("POST", f"{path}/recover", status=404)


async def test_a_branch_whose_time_has_come_deletes_itself(neon: Neon) -> None:
    project, _, _ = await project_with_rows(neon)
    soon = f"{neon.clock().replace(microsecond=0).isoformat().replace('+00:00', 'Z')}"
    await neon.call("POST", f"/projects/{project}/branches", {"branch": {"expires_at": soon}}, status=422)
    later = f"{neon.clock():%Y}-12-31T23:59:59Z"
    made = await branch_of(neon, project, name="brief", expires_at=later)
    assert made["branch"]["expires_at"] == later
    cleared = await neon.call(
        "PATCH", f"/projects/{project}/branches/{made['branch']['id']}", {"branch": {"expires_at": None}}
    )
    assert "expires_at" not in cleared["branch"]


async def _quiet(neon: Neon, project: str) -> None:
    for operation in (await neon.call("GET", f"/projects/{project}/operations"))["operations"]:
        await neon.over(operation)
