"""Undo: a branch takes the data of another, or of a snapshot, and its connection string stays good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from server.local.postgres import PostgresServer
    from tests.twins.neon.conftest import Doc, Neon


class Started:
    """A project with a table, and its first branch."""

    def __init__(self, created: Doc, uri: str) -> None:
        self.id: str = created["project"]["id"]
        self.main: str = created["branch"]["id"]
        self.endpoint: str = created["endpoints"][0]["id"]
        self.uri = uri

    def branch(self, branch: str) -> str:
        return f"/projects/{self.id}/branches/{branch}"


async def started(neon: Neon) -> Started:
    created = await neon.project()
    uri = neon.uri_of(created)
    await neon.rows(uri, "create table note (id serial primary key, body text)")
    await neon.rows(uri, "insert into note (body) values ('first')")
    return Started(created, uri)


async def bodies(neon: Neon, uri: str) -> list[str]:
    return [row[0] for row in await neon.rows(uri, "select body from note order by id")]


async def uri_of(neon: Neon, project: Started, branch: str) -> str:
    return await neon.connection_uri(project.id, branch_id=branch)


async def test_a_branch_is_put_back_to_its_backup_under_the_same_connection_string(neon: Neon) -> None:
    project = await started(neon)
    body = {"branch": {"name": "before-turn-2"}}
    backup = (await neon.done("POST", f"/projects/{project.id}/branches", body, status=201))["branch"]["id"]
    await neon.rows(project.uri, "alter table note add column ruined int")
    await neon.rows(project.uri, "insert into note (body) values ('a mistake')")
    wanted = {"source_branch_id": backup, "preserve_under_name": "ruined"}
    async with await psycopg.AsyncConnection.connect(project.uri, autocommit=True) as connection:
        answer = await neon.done("POST", f"{project.branch(project.main)}/restore", wanted)
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    assert (answer["branch"]["id"], answer["branch"]["current_state"]) == (project.main, "resetting")
    assert [each["action"] for each in answer["operations"]] == ["suspend_compute", "create_branch", "start_compute"]
    assert await neon.rows(project.uri, "select * from note") == [["1", "first"]]
    assert await neon.rows(project.uri, "insert into note (body) values ('again') returning id") == [["2"]]
    async with await psycopg.AsyncConnection.connect(project.uri) as connection:
        found = await connection.execute("select tableowner from pg_tables where tablename = 'note'")
        assert await found.fetchone() == (connection.info.user,)


async def test_the_state_before_is_kept_and_takes_over_the_place_in_the_tree(neon: Neon) -> None:
    project = await started(neon)
    backup = (await neon.done("POST", f"/projects/{project.id}/branches", status=201))["branch"]["id"]
    await neon.rows(project.uri, "insert into note (body) values ('a mistake')")
    needed = await neon.call(
        "POST", f"{project.branch(project.main)}/restore", {"source_branch_id": backup}, status=400
    )
    assert "preserve_under_name" in needed["message"]
    wanted = {"source_branch_id": backup, "preserve_under_name": "ruined"}
    await neon.done("POST", f"{project.branch(project.main)}/restore", wanted)
    branches = (await neon.call("GET", f"/projects/{project.id}/branches"))["branches"]
    by_name = {each["name"]: each for each in branches}
    kept, main = by_name["ruined"], by_name["main"]
    assert (main["parent_id"], main["default"]) == (backup, True)
    assert by_name[backup]["parent_id"] == kept["id"]
    assert "parent_id" not in kept
    endpoint = {"endpoint": {"branch_id": kept["id"], "type": "read_write"}}
    await neon.done("POST", f"/projects/{project.id}/endpoints", endpoint, status=201)
    assert await bodies(neon, await uri_of(neon, project, kept["id"])) == ["first", "a mistake"]


async def test_a_child_is_reset_to_its_parent(neon: Neon) -> None:
    project = await started(neon)
    body = {"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]}
    made = await neon.done("POST", f"/projects/{project.id}/branches", body, status=201)
    dev, uri = made["branch"]["id"], made["connection_uris"][0]["connection_uri"]
    await neon.rows(uri, "drop table note")
    await neon.rows(project.uri, "insert into note (body) values ('newer')")
    answer = await neon.done("POST", f"{project.branch(dev)}/restore", {"source_branch_id": project.main})
    assert answer["operations"][-2]["action"] == "delete_timeline", "nothing of before is kept"
    assert await bodies(neon, uri) == ["first", "newer"]
    assert await bodies(neon, project.uri) == ["first", "newer"]


async def test_every_database_and_role_of_the_source_comes_along(neon: Neon) -> None:
    project = await started(neon)
    path = project.branch(project.main)
    backup = (await neon.done("POST", f"/projects/{project.id}/branches", status=201))["branch"]["id"]
    await neon.done("POST", f"{path}/roles", {"role": {"name": "late"}}, status=201)
    wanted = {"database": {"name": "late_db", "owner_name": "late"}}
    await neon.done("POST", f"{path}/databases", wanted, status=201)
    restore = {"source_branch_id": backup, "preserve_under_name": "with-late"}
    await neon.done("POST", f"{path}/restore", restore)
    assert [each["name"].startswith("neondb_owner") for each in (await neon.call("GET", f"{path}/roles"))["roles"]] == [
        True
    ]
    assert len((await neon.call("GET", f"{path}/databases"))["databases"]) == 1
    restore = {"source_branch_id": (await _named(neon, project, "with-late"))["id"], "preserve_under_name": "without"}
    await neon.done("POST", f"{path}/restore", restore)
    uri = await neon.connection_uri(project.id, database_name="late_db", role_name="late")
    await neon.rows(uri, "create table works ()")


async def test_its_own_past_can_be_had_where_a_snapshot_was_taken_of_it(neon: Neon) -> None:
    project = await started(neon)
    path = project.branch(project.main)
    taken = (await neon.done("POST", f"{path}/snapshot", name="before"))["snapshot"]
    await neon.rows(project.uri, "delete from note")
    wanted = {
        "source_branch_id": project.main,
        "source_timestamp": taken["timestamp"],
        "preserve_under_name": "emptied",
    }
    await neon.call("POST", f"{path}/restore", {"source_branch_id": project.main}, status=400)
    neon.clock.advance(seconds=2)  # so that the branch has changed after the moment asked for
    await neon.call("GET", path)
    await neon.rows(project.uri, "create table later ()")
    await neon.done("POST", f"{path}/restore", {**wanted, "source_timestamp": None, "source_lsn": taken["lsn"]})
    assert await bodies(neon, project.uri) == ["first"]
    refused = await neon.call(
        "POST", f"{path}/restore", {**wanted, "source_timestamp": "2021-01-01T00:00:00Z"}, status=422
    )
    assert "nothing is kept" in refused["message"]


async def test_a_branch_nobody_has_touched_since_is_what_it_was(neon: Neon) -> None:
    project = await started(neon)
    await neon.call("GET", project.branch(project.main))
    neon.clock.advance(seconds=30)
    asked = neon.clock().replace(microsecond=0).isoformat().replace("+00:00", "Z")
    neon.clock.advance(seconds=30)
    body = {"branch": {"parent_timestamp": asked}, "endpoints": [{"type": "read_write"}]}
    made = await neon.done("POST", f"/projects/{project.id}/branches", body, status=201)
    assert made["branch"]["parent_timestamp"] == asked
    assert await bodies(neon, made["connection_uris"][0]["connection_uri"]) == ["first"]
    await bodies(neon, project.uri)
    refused = await neon.call("POST", f"/projects/{project.id}/branches", body, status=422)
    assert "nothing is kept" in refused["message"], "somebody may have changed it"
    neon.clock.advance(seconds=-60)


async def test_a_snapshot_is_looked_at_and_then_takes_the_branchs_place(neon: Neon) -> None:
    project = await started(neon)
    taken = await neon.done("POST", f"{project.branch(project.main)}/snapshot", name="good")
    snapshot = taken["snapshot"]
    await neon.rows(project.uri, "insert into note (body) values ('a mistake')")
    preview = await neon.done("POST", f"/projects/{project.id}/snapshots/{snapshot['id']}/restore")
    branch = preview["branch"]
    assert (branch["restored_from"], branch["restore_status"], "parent_id" in branch) == (
        snapshot["id"],
        "restored",
        False,
    )
    assert await bodies(neon, await uri_of(neon, project, branch["id"])) == ["first"]
    assert await bodies(neon, project.uri) == ["first", "a mistake"]
    await neon.done("POST", f"{project.branch(branch['id'])}/finalize_restore", {"name": "main-before"})
    assert await bodies(neon, project.uri) == ["first"], "the same string, the other data"
    seen = (await neon.call("GET", project.branch(branch["id"])))["branch"]
    assert (seen["name"], seen["default"], seen["restore_status"], seen["restored_as"]) == (
        "main",
        True,
        "finalized",
        project.main,
    )
    assert (await neon.call("GET", project.branch(project.main)))["branch"]["name"] == "main-before"
    endpoint = (await neon.call("GET", f"/projects/{project.id}/endpoints/{project.endpoint}"))["endpoint"]
    assert (endpoint["branch_id"], endpoint["current_state"]) == (branch["id"], "active")
    await neon.call("POST", f"{project.branch(branch['id'])}/finalize_restore", status=422)


async def test_a_snapshot_is_restored_in_one_step(neon: Neon) -> None:
    project = await started(neon)
    snapshot = (await neon.done("POST", f"{project.branch(project.main)}/snapshot"))["snapshot"]
    assert (snapshot["manual"], snapshot["name"].startswith("main at ")) == (True, True)
    await neon.rows(project.uri, "drop table note")
    wanted = {"finalize_restore": True, "target_branch_id": project.main}
    answer = await neon.done("POST", f"/projects/{project.id}/snapshots/{snapshot['id']}/restore", wanted)
    assert [each["id"] for each in answer["endpoints"]] == [project.endpoint]
    assert await bodies(neon, project.uri) == ["first"]
    await neon.rows(project.uri, "insert into note (body) values ('it can be written')")
    assert (await _named(neon, project, "main (old)"))["id"] == project.main


async def test_snapshots_are_listed_renamed_and_deleted(neon: Neon) -> None:
    project = await started(neon)
    path = f"/projects/{project.id}/snapshots"
    made = (await neon.done("POST", f"{project.branch(project.main)}/snapshot", name="one"))["snapshot"]
    [listed] = (await neon.call("GET", path))["snapshots"]
    assert (listed["id"], listed["source_branch_id"]) == (made["id"], project.main)
    assert listed["full_size"] > 1_000_000
    renamed = await neon.call("PATCH", f"{path}/{made['id']}", {"snapshot": {"name": "two"}})
    assert renamed["snapshot"]["name"] == "two"
    await neon.done("DELETE", f"{path}/{made['id']}", status=202)
    assert (await neon.call("GET", path)) == {"snapshots": []}
    await neon.call("DELETE", f"{path}/{made['id']}", status=404)
    kept = made["id"].replace("-", "_")
    await neon.dropped(f"neondb_{kept}")


async def test_snapshots_are_of_root_branches_and_ten_at_most(neon: Neon, monkeypatch: pytest.MonkeyPatch) -> None:
    project = await started(neon)
    child = (await neon.done("POST", f"/projects/{project.id}/branches", status=201))["branch"]["id"]
    refused = await neon.call("POST", f"{project.branch(child)}/snapshot", status=422)
    assert "root branches" in refused["message"]
    for number in range(10):
        await neon.done("POST", f"{project.branch(project.main)}/snapshot", name=f"number {number}")
    over = await neon.call("POST", f"{project.branch(project.main)}/snapshot", status=422)
    assert over["code"] == "SNAPSHOTS_LIMIT_EXCEEDED"


async def test_a_snapshot_cannot_be_connected_to(neon: Neon) -> None:
    project = await started(neon)
    snapshot = (await neon.done("POST", f"{project.branch(project.main)}/snapshot"))["snapshot"]
    name = f"neondb_{snapshot['id'].replace('-', '_')}"
    there = project.uri.rsplit("/", 1)[0] + f"/{name}"
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        await psycopg.AsyncConnection.connect(there)


@pytest.mark.parametrize("cut_at", ["create_branch", "start_compute"])
async def test_a_restore_cut_short_is_finished_once_by_the_next_start(
    postgres: PostgresServer,
    tmp_path: Path,
    twin_on: Callable[..., AbstractAsyncContextManager[Neon]],
    cut_at: str,
) -> None:
    async with twin_on(postgres, tmp_path) as neon:
        project = await started(neon)
        backup = (await neon.done("POST", f"/projects/{project.id}/branches", status=201))["branch"]["id"]
        await neon.rows(project.uri, "insert into note (body) values ('a mistake')")
        await neon.twin("POST", "faults", {"method": "OPERATION", "path": f"/operations/{cut_at}", "hold": "cut"})
        wanted = {"source_branch_id": backup, "preserve_under_name": "ruined"}
        answer = await neon.call("POST", f"{project.branch(project.main)}/restore", wanted)
        await neon.held()
    async with twin_on(postgres, tmp_path) as neon:
        for operation in answer["operations"]:
            await neon.over(operation)
        assert await bodies(neon, project.uri) == ["first"]
        kept = await _named(neon, project, "ruined")
        endpoint = {"endpoint": {"branch_id": kept["id"], "type": "read_write"}}
        await neon.done("POST", f"/projects/{project.id}/endpoints", endpoint, status=201)
        assert await bodies(neon, await uri_of(neon, project, kept["id"])) == ["first", "a mistake"]


async def _named(neon: Neon, project: Started, name: str) -> Doc:
    branches = (await neon.call("GET", f"/projects/{project.id}/branches"))["branches"]
    return next(each for each in branches if each["name"] == name)
