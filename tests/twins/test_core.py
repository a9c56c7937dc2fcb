"""The shared parts of the twins: records, faults, barriers, listening."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from server.errors import StackError
from server.secrets import Secret
from server.twins.core import Records, Site, app
from server.twins.core.paging import cursor_page, link_header, numbered_page
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

ADMIN = {"Authorization": "Bearer admin-token"}


def a_twin(folder: Path) -> tuple[Starlette, Records]:
    site = Site("example", "http://localhost:0", folder, Secret("key"), Secret("admin-token"))
    records = site.records()

    async def make(request: Request) -> Response:
        body = await request.json()
        records.put("thing", body["name"], body)
        return JSONResponse(body, 201)

    async def count(_request: Request) -> Response:
        return JSONResponse(len(records.all("thing")))

    return app(site, [Route("/things", make, methods=["POST"]), Route("/things", count)]), records


@asynccontextmanager
async def client_of(twin: Starlette) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        serving(twin, bind(), drain=1) as port,
        httpx.AsyncClient(base_url=f"http://localhost:{port}", timeout=5) as client,
    ):
        yield client


async def order(client: httpx.AsyncClient, **fault: object) -> None:
    (await client.post("/_twin/faults", json=fault, headers=ADMIN)).raise_for_status()


async def held(client: httpx.AsyncClient) -> dict[str, int]:
    return (await client.get("/_twin/held", headers=ADMIN)).json()["held"]


async def until_held(client: httpx.AsyncClient, count: int) -> None:
    async with asyncio.timeout(5):
        while await held(client) != {"gate": count}:  # noqa: ASYNC110 - asked over the wire, as a test must
            await asyncio.sleep(0)


def test_records_outlive_their_process_in_order(tmp_path: Path) -> None:
    records = Records(tmp_path / "r.sqlite")
    for name in ("b", "a", "c"):
        records.put("thing", name, {"name": name})
    records.put("thing", "b", {"name": "b", "new": True})
    assert records.delete("thing", "a")
    assert not records.delete("thing", "a")
    records.close()

    again = Records(tmp_path / "r.sqlite")
    assert again.all("thing") == [{"name": "b", "new": True}, {"name": "c"}]
    assert again.get("thing", "a") is None
    assert again.get("other", "b") is None


async def test_health_is_open_and_everything_else_needs_the_admin_token(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        assert (await client.get("/_twin/health")).json() == {"vendor": "example", "ok": True}
        for method, path in [("GET", "faults"), ("POST", "faults"), ("DELETE", "faults"), ("GET", "held")]:
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                assert (await client.request(method, f"/_twin/{path}", headers=headers)).status_code == 401


async def test_a_status_fault_answers_and_does_nothing_as_often_as_asked(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        await order(
            client, method="post", path="/things", status=503, body='{"a":1}', headers={"retry-after": "1"}, times=2
        )
        for _ in range(2):
            answer = await client.post("/things", json={"name": "x"})
            assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, {"a": 1}, "1")
        assert (await client.get("/things")).json() == 0
        assert (await client.post("/things", json={"name": "x"})).status_code == 201


async def test_a_hung_request_ends_when_the_client_gives_up(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        await order(client, path="/things", method="POST", hang=True)
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/things", json={"name": "x"}, timeout=0.2)
        assert (await client.get("/things")).json() == 0


async def test_a_lost_answer_is_a_dropped_connection_after_the_thing_was_made(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        await order(client, path="/things", method="POST", lose_answer=True, times=1)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.post("/things", json={"name": "x"})
        assert (await client.get("/things")).json() == 1


async def test_a_barrier_proves_that_calls_were_in_flight_at_once(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        await order(client, path="/things", method="POST", hold="gate")
        calls = [asyncio.create_task(client.post("/things", json={"name": str(n)})) for n in range(3)]
        await until_held(client, 3)
        assert (await client.get("/things")).json() == 0
        await client.post("/_twin/release", json={"name": "gate"}, headers=ADMIN)
        assert [(await call).status_code for call in calls] == [201] * 3
        assert await held(client) == {}


async def test_clearing_the_faults_frees_who_is_held(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        await order(client, path="/things", method="POST", hold="gate", delay_ms=1)
        call = asyncio.create_task(client.post("/things", json={"name": "x"}))
        await until_held(client, 1)
        await client.delete("/_twin/faults", headers=ADMIN)
        assert (await call).status_code == 201
        assert (await client.get("/_twin/faults", headers=ADMIN)).json() == {"faults": []}


async def test_a_fault_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with client_of(a_twin(tmp_path)[0]) as client:
        for bad in ({"path": "("}, {"colour": "red"}, {"times": "often"}):
            assert (await client.post("/_twin/faults", json=bad, headers=ADMIN)).status_code == 422


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    async with serving(a_twin(tmp_path)[0], bind()) as port:
        with pytest.raises(StackError, match=str(port)):
            bind(port)


async def test_an_app_that_cannot_start_says_so() -> None:
    @asynccontextmanager
    async def broken(_app: object) -> AsyncGenerator[None]:
        raise RuntimeError("no disk")
        yield

    site = Site("example", "", None, Secret("k"), Secret("a"))  # type: ignore[arg-type] # keeps nothing
    with pytest.raises(StackError, match="could not start"):
        async with serving(app(site, [], broken), bind()):
            pass


def test_pages_by_cursor_and_by_number() -> None:
    docs = [{"id": str(n)} for n in range(5)]
    assert cursor_page(docs, limit=2).items == docs[:2]
    assert cursor_page(docs, limit=2, after="1").items == docs[2:4]
    assert not cursor_page(docs, limit=2, after="2").has_more
    assert cursor_page(docs, limit=2, before="3").items == docs[1:3]
    with pytest.raises(KeyError):
        cursor_page(docs, limit=2, after="nobody")
    assert numbered_page(docs, page=3, per_page=2).items == docs[4:]
    assert link_header("http://x", page=2, per_page=2, total=5).count("rel=") == 4
    assert link_header("http://x", page=1, per_page=9, total=5) == ""
