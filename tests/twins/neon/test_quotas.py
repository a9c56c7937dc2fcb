"""Figures of what is used, and quotas that bite."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Neon

MIB = 2**20


async def with_quota(neon: Neon, **quota: int) -> tuple[str, str, str]:
    created = await neon.project(settings={"quota": quota})
    return created["project"]["id"], created["endpoints"][0]["id"], neon.uri_of(created)


async def test_a_branch_over_its_size_takes_no_writes_until_rows_are_deleted(neon: Neon) -> None:
    project, _, uri = await with_quota(neon, logical_size_bytes=12 * MIB)
    await neon.rows(uri, "create table fat (filler text)")
    await neon.rows(uri, "insert into fat select repeat(md5(n::text), 30) from generate_series(1, 8000) n")
    await _seen(neon, project)
    refused = await neon.sql(uri, {"query": "insert into fat values ('more')"})
    assert refused.json()["code"] == "25006"
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("insert into fat values ('more')")
    assert await neon.rows(uri, "select count(*) from fat") == [["8000"]], "it can still be read"
    room = {"queries": [{"query": "set transaction read write"}, {"query": "truncate fat"}]}
    assert (await neon.sql(uri, room)).status_code == 200
    await _seen(neon, project)
    assert await neon.rows(uri, "insert into fat values ('again') returning filler") == [["again"]]


async def test_a_lifted_quota_counts_at_once(neon: Neon) -> None:
    project, _, uri = await with_quota(neon, logical_size_bytes=MIB)
    await _seen(neon, project)
    assert (await neon.sql(uri, {"query": "create table t ()"})).json()["code"] == "25006"
    await neon.call("PATCH", f"/projects/{project}", {"project": {"settings": {"quota": {"logical_size_bytes": 0}}}})
    await neon.rows(uri, "create table t ()")


async def test_a_project_that_used_up_its_time_is_suspended_and_cannot_be_woken(neon: Neon) -> None:
    project, endpoint, uri = await with_quota(neon, active_time_seconds=60)
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        await connection.execute("select 1")
        neon.clock.advance(seconds=61)
        await neon.call("GET", f"/projects/{project}")
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    said = "Your project has exceeded the active time quota. Upgrade your plan to increase limits."
    refused = await neon.sql(uri, {"query": "select 1"})
    assert (refused.status_code, refused.json()["message"]) == (402, said)
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(uri)
    path = f"/projects/{project}/endpoints/{endpoint}"
    assert (await neon.call("GET", path))["endpoint"]["current_state"] == "idle"
    assert (await neon.call("POST", f"{path}/start", status=402))["message"] == said
    await neon.call("PATCH", f"/projects/{project}", {"project": {"settings": {"quota": {"active_time_seconds": 600}}}})
    assert await neon.rows(uri, "select 1") == [["1"]]
    neon.clock.advance(seconds=-61)


async def test_bytes_sent_are_counted_and_limited(neon: Neon) -> None:
    project, _, uri = await with_quota(neon, data_transfer_bytes=2 * MIB)
    await neon.rows(uri, "select repeat('x', 1500000)")
    used = (await neon.call("GET", f"/projects/{project}"))["project"]["data_transfer_bytes"]
    assert 1_500_000 < used < 1_600_000
    await neon.rows(uri, "select repeat('x', 1500000)")
    await neon.call("GET", f"/projects/{project}")
    refused = await neon.sql(uri, {"query": "select 1"})
    assert refused.status_code == 402
    assert "data transfer quota" in refused.json()["message"]


async def test_figures_start_anew_with_the_month(neon: Neon) -> None:
    project, _, uri = await with_quota(neon, data_transfer_bytes=MIB)
    await neon.rows(uri, "select repeat('x', 1100000)")
    await neon.call("GET", f"/projects/{project}")
    assert (await neon.sql(uri, {"query": "select 1"})).status_code == 402
    neon.clock.advance(days=32)
    try:
        shown = (await neon.call("GET", f"/projects/{project}"))["project"]
        assert shown["data_transfer_bytes"] == 0
        assert await neon.rows(uri, "select 1") == [["1"]]
    finally:
        neon.clock.advance(days=-32)


async def history(neon: Neon, **query: Any) -> Any:
    now = neon.clock()
    asked: dict[str, Any] = {
        "from": f"{now:%Y-%m-%dT00:00:00Z}",
        "to": f"{now + timedelta(days=1):%Y-%m-%dT00:00:00Z}",
        "granularity": "hourly",
        "metrics": "compute_unit_seconds,public_network_transfer_bytes",
        **query,
    }
    status = asked.pop("status", 200)
    return await neon.call("GET", "/consumption_history/v2/projects", status=status, **asked)


async def test_what_was_used_can_be_asked_for_by_the_hour(neon: Neon) -> None:
    project, _, uri = await with_quota(neon)
    await neon.rows(uri, "select repeat('x', 100000)")
    answer = await history(neon, project_ids=project)
    [shown] = answer["projects"]
    [period] = shown["periods"]
    assert (shown["project_id"], period["period_plan"]) == (project, "scale")
    frame = period["consumption"][-1]
    values = {each["metric_name"]: each["value"] for each in frame["metrics"]}
    assert 100_000 < values["public_network_transfer_bytes"] < 110_000
    assert [*values] == ["compute_unit_seconds", "public_network_transfer_bytes"]


async def test_consumption_comes_in_pages_newest_project_first(neon: Neon) -> None:
    async with neon.account(plan="launch") as (somebody, told):
        made = [(await somebody.project(org_id=told["org_id"]))["project"]["id"] for _ in range(3)]
        first = await history(somebody, org_id=told["org_id"], limit=2)
        rest = await history(somebody, org_id=told["org_id"], limit=2, cursor=first["pagination"]["cursor"])
        seen = [each["project_id"] for each in first["projects"] + rest["projects"]]
        assert seen == made[::-1]
        assert "pagination" not in rest


async def test_consumption_that_cannot_be_asked_for_is_refused(neon: Neon) -> None:
    await history(neon, granularity="", status=422)
    await history(neon, metrics="made_up", status=422)
    await history(neon, org_id="org-of-nobody", status=404)
    await history(neon, **{"from": "2024-03-01T00:00:00Z", "status": 406})
    async with neon.account(plan="free") as (somebody, told):
        await history(somebody, org_id=told["org_id"], status=403)


async def _seen(neon: Neon, project: str) -> None:
    """Has the twin look until PostgreSQL has told of the last change; it does within a second or so."""
    for _ in range(400):
        before = (await neon.call("GET", f"/projects/{project}"))["project"]["synthetic_storage_size"]
        branch = (await neon.call("GET", f"/projects/{project}/branches"))["branches"][0]
        if before and before == branch.get("logical_size") and await _settled(neon, project, before):
            return
    pytest.fail("the size was never seen")


async def _settled(neon: Neon, project: str, seen: int) -> bool:
    async with neon.superuser() as connection:
        name = f"neondb_{project.replace('-', '_')}"
        found = await connection.execute("select pg_database_size(%s)", (name,))
        row = await found.fetchone()
        return row is not None and abs(row[0] - seen) < MIB // 2
