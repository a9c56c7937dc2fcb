"""Computes: they end connections when they are suspended, wake when somebody comes, and can be closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from websockets.asyncio.client import connect

from tests.twins.neon.test_websocket import pipelined_start, read_until_ready

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Doc, Neon


class Compute:
    def __init__(self, created: Doc, uri: str) -> None:
        self.project: str = created["project"]["id"]
        self.branch: str = created["branch"]["id"]
        self.id: str = created["endpoints"][0]["id"]
        self.path = f"/projects/{self.project}/endpoints/{self.id}"
        self.uri = uri


async def compute(neon: Neon, **wanted: Any) -> Compute:
    created = await neon.project(**wanted)
    return Compute(created, neon.uri_of(created))


async def state(neon: Neon, here: Compute) -> str:
    return (await neon.call("GET", here.path))["endpoint"]["current_state"]


async def test_a_suspended_compute_has_no_connections_and_wakes_when_one_comes(neon: Neon) -> None:
    here = await compute(neon)
    assert await state(neon, here) == "active"
    async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
        answer = await neon.done("POST", f"{here.path}/suspend")
        assert [each["action"] for each in answer["operations"]] == ["suspend_compute"]
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    idle = (await neon.call("GET", here.path))["endpoint"]
    assert (idle["current_state"], "suspended_at" in idle) == ("idle", True)
    assert await neon.rows(here.uri, "select 1") == [["1"]]
    assert await state(neon, here) == "active"
    newest = (await neon.call("GET", f"/projects/{here.project}/operations"))["operations"][0]
    assert newest["action"] == "start_compute"


async def test_a_direct_connection_wakes_it_too(neon: Neon) -> None:
    here = await compute(neon)
    await neon.done("POST", f"{here.path}/suspend")
    async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
        await connection.execute("select 1")
        assert await state(neon, here) == "active"


async def test_a_websocket_wakes_it_too(neon: Neon) -> None:
    here = await compute(neon)
    await neon.done("POST", f"{here.path}/suspend")
    async with connect(f"ws://localhost:{neon.port}/v2") as socket:
        await socket.send(pipelined_start(here.uri, "select 1"))
        await read_until_ready(socket)
        assert await state(neon, here) == "active"


async def test_it_falls_asleep_when_nobody_came_for_long_enough(neon: Neon) -> None:
    here = await compute(neon)
    await neon.call("PATCH", here.path, {"endpoint": {"suspend_timeout_seconds": 120}})
    async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
        await connection.execute("select 1")
        assert await state(neon, here) == "active"
        neon.clock.advance(seconds=119)
        assert await state(neon, here) == "active"
        neon.clock.advance(seconds=5)
        assert await state(neon, here) == "idle"
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    used = (await neon.call("GET", f"/projects/{here.project}"))["project"]
    assert 118 <= used["active_time_seconds"] <= 122, "not the time it only waited to be looked at"
    neon.clock.advance(seconds=-124)


async def test_one_that_never_sleeps_stays_awake(neon: Neon) -> None:
    here = await compute(neon, default_endpoint_settings={"suspend_timeout_seconds": -1})
    neon.clock.advance(days=2)
    assert await state(neon, here) == "active"
    neon.clock.advance(days=-2)


async def test_a_disabled_compute_takes_no_connection_and_says_so(neon: Neon) -> None:
    here = await compute(neon)
    await neon.done("PATCH", here.path, {"endpoint": {"disabled": True}})
    assert await state(neon, here) == "idle"
    refused = await neon.sql(here.uri, {"query": "select 1"})
    assert (refused.status_code, refused.json()["message"]) == (
        500,
        "The endpoint has been disabled. Enable it using Neon API and retry.",
    )
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(here.uri)
    async with connect(f"ws://localhost:{neon.port}/v2") as socket:
        await socket.send(pipelined_start(here.uri, "select 1"))
        said = b"".join([frame async for frame in socket if isinstance(frame, bytes)])
        assert said.startswith(b"E")
        assert b"has been disabled" in said
    await neon.call("POST", f"{here.path}/start", status=422)
    await neon.done("PATCH", here.path, {"endpoint": {"disabled": False}})
    assert await neon.rows(here.uri, "select 1") == [["1"]]


async def test_a_restart_ends_the_connections_and_leaves_it_running(neon: Neon) -> None:
    here = await compute(neon)
    async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
        answer = await neon.done("POST", f"{here.path}/restart")
        assert [each["action"] for each in answer["operations"]] == ["suspend_compute", "start_compute"]
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    assert await state(neon, here) == "active"
    assert (await neon.call("POST", f"{here.path}/start"))["operations"] == []


async def test_a_read_only_endpoint_reads_what_is_written_and_writes_nothing(neon: Neon) -> None:
    here = await compute(neon)
    await neon.rows(here.uri, "create table note as select 1 as n")
    wanted = {"endpoint": {"branch_id": here.branch, "type": "read_only", "name": "replica"}}
    made = await neon.done("POST", f"/projects/{here.project}/endpoints", wanted, status=201)
    uri = await neon.connection_uri(here.project, endpoint_id=made["endpoint"]["id"])
    assert urlsplit(uri).password == urlsplit(here.uri).password
    await neon.rows(here.uri, "insert into note values (2)")
    assert await neon.rows(uri, "select n from note order by n") == [["1"], ["2"]]
    for statement in ("insert into note values (3)", "set transaction_read_only = off; insert into note values (3)"):
        async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
            with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)):
                await connection.execute(statement.encode())
    listed = (await neon.call("GET", f"/projects/{here.project}/branches/{here.branch}/endpoints"))["endpoints"]
    assert sorted(each["type"] for each in listed) == ["read_only", "read_write"]
    await neon.done("DELETE", f"/projects/{here.project}/endpoints/{made['endpoint']['id']}")
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(uri)
    assert await neon.rows(here.uri, "select count(*) from note") == [["2"]]


async def test_a_deleted_endpoint_takes_its_connections_with_it(neon: Neon) -> None:
    here = await compute(neon)
    async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
        await neon.done("DELETE", here.path)
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    refused = await neon.sql(here.uri, {"query": "select 1"})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("The requested endpoint could not be found")
    await neon.call("GET", here.path, status=404)
    assert (await neon.call("GET", f"/projects/{here.project}/endpoints")) == {"endpoints": []}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"suspend_timeout_seconds": 604_801}, 422),
        ({"autoscaling_limit_min_cu": 0.1}, 422),
        ({"autoscaling_limit_min_cu": 4, "autoscaling_limit_max_cu": 1}, 422),
        ({"name": ""}, 422),
        ({"branch_id": "br-another-one-00000000"}, 422),
        ({}, 200),
    ],
)
async def test_a_change_that_cannot_be_is_refused(neon: Neon, change: Doc, status: int) -> None:
    here = await compute(neon)
    await neon.call("PATCH", here.path, {"endpoint": change}, status=status)


async def test_an_endpoint_of_another_project_is_not_there(neon: Neon) -> None:
    here, other = await compute(neon), await compute(neon)
    await neon.call("GET", f"/projects/{other.project}/endpoints/{here.id}", status=404)
    wanted = {"endpoint": {"branch_id": here.branch, "type": "read_only"}}
    await neon.call("POST", f"/projects/{other.project}/endpoints", wanted, status=404)
