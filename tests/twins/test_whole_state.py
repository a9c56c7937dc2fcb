"""What every twin has beside its vendor's routes: limits, snapshots, and a page for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from server.secrets import Secret
from server.twins.core import RateLimit, Records, Site, WireError, app
from server.twins.core.serve import bind, serving
from server.twins.core.view import Facts, Link, Table, View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

ADMIN = {"Authorization": "Bearer admin-token"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Notes:
    """A twin's state, as small as it can be."""

    def __init__(self, site: Site) -> None:
        self.records: Records = site.records()
        self.limit = RateLimit(site, "calls", limit=3, seconds=60)

    async def write(self, request: Request) -> Response:
        verdict = self.limit.take(request.headers.get("authorization", ""))
        if not verdict.allowed:
            raise WireError(429, {"error": "slow down"}, {"retry-after": str(verdict.retry_after)})
        self.records.put("note", request.path_params["id"], {"id": request.path_params["id"]})
        return JSONResponse({"remaining": verdict.remaining})

    async def save(self, folder: Path) -> None:
        self.records.save(folder / "records.sqlite")

    async def load(self, folder: Path) -> None:
        self.records.load(folder / "records.sqlite")

    async def clear(self) -> None:
        self.records.clear()

    async def view(self, path: str) -> View:
        if path:
            return View({"n1": "One note"}[path], [Facts("Note", [("id", path)])], [Link("all", "")])
        rows = [[Link(note["id"], note["id"])] for note in self.records.all("note")]
        return View("Notes", [Table("All", ["id"], rows)])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(tmp_path: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    site = Site("example", "", tmp_path, Secret("key"), Secret("admin-token"), clock=clock)
    notes = Notes(site)
    twin = app(site, [Route("/notes/{id}", notes.write, methods=["PUT"])], view=notes.view, keep=notes)
    async with (
        serving(twin, bind(), drain=1) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5, headers=ADMIN) as client,
    ):
        yield client


async def listed(client: httpx.AsyncClient) -> list[str]:
    view = (await client.get("/_twin/view")).json()
    return [row[0]["text"] for row in view["blocks"][0]["rows"]]


async def test_a_snapshot_brings_back_what_was_and_a_reset_leaves_nothing(client: httpx.AsyncClient) -> None:
    await client.put("/notes/n1")
    assert (await client.post("/_twin/snapshots", json={"name": "one"})).status_code == 201
    await client.put("/notes/n2")
    assert await listed(client) == ["n1", "n2"]
    assert (await client.post("/_twin/reset")).status_code == 204
    assert await listed(client) == []
    assert (await client.post("/_twin/snapshots/one/restore")).status_code == 204
    assert await listed(client) == ["n1"]
    assert (await client.get("/_twin/snapshots")).json() == {"snapshots": ["one"]}
    for _ in range(2):
        assert (await client.delete("/_twin/snapshots/one")).status_code == 204
    assert (await client.post("/_twin/snapshots/one/restore")).status_code == 404


@pytest.mark.parametrize("name", ["", "../one", "Upper", ".hidden", "x" * 41])
async def test_a_snapshots_name_is_never_a_path(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.post("/_twin/snapshots", json={"name": name})).status_code == 422


async def test_a_taken_snapshot_name_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/_twin/snapshots", json={"name": "one"})).status_code == 201
    assert (await client.post("/_twin/snapshots", json={"name": "one"})).status_code == 409


async def test_a_limit_counts_one_callers_window_and_begins_anew(client: httpx.AsyncClient, clock: Clock) -> None:
    assert [(await client.put("/notes/n")).json() for _ in range(3)] == [{"remaining": left} for left in (2, 1, 0)]
    clock.now += timedelta(seconds=30)
    refused = await client.put("/notes/n")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert (await client.put("/notes/n", headers={"authorization": "Bearer another"})).json() == {"remaining": 2}
    clock.now += timedelta(seconds=30)
    assert (await client.put("/notes/n")).json() == {"remaining": 2}


async def test_a_limit_can_be_changed_and_switched_off(client: httpx.AsyncClient) -> None:
    changed = {"allowances": {"calls": {"limit": 1, "seconds": 10}}}
    assert (await client.put("/_twin/limits", json=changed)).json()["allowances"]["calls"]["limit"] == 1
    assert [(await client.put("/notes/n")).status_code for _ in range(2)] == [200, 429]
    await client.put("/_twin/limits", json={"enforced": False})
    assert [(await client.put("/notes/n")).status_code for _ in range(5)] == [200] * 5
    assert (await client.put("/_twin/limits", json={"allowances": {"nobodys": changed}})).status_code == 422


async def test_the_view_is_for_the_operator_and_its_page_for_anyone_with_the_token(client: httpx.AsyncClient) -> None:
    await client.put("/notes/n1")
    assert (await client.get("/_twin/view", params={"at": "n1"})).json()["title"] == "One note"
    assert (await client.get("/_twin/view", params={"at": "n2"})).status_code == 404
    nobody = {"authorization": ""}
    assert (await client.get("/_twin/view", headers=nobody)).status_code == 401
    page = await client.get("/_twin/", headers=nobody)
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for part in ("page.js", "page.css"):
        assert f"/_twin/page/{part}" in page.text
        assert (await client.get(f"/_twin/page/{part}", headers=nobody)).status_code == 200
    assert (await client.get("/_twin/page/../view.py", headers=nobody)).status_code == 404


async def test_the_front_page_shows_what_was_ordered_to_go_wrong_and_whom_it_met(client: httpx.AsyncClient) -> None:
    await client.post("/_twin/faults", json={"id": "slow", "path": "/notes/.*", "delay_ms": 1, "times": 2})
    await client.put("/notes/n1")
    blocks = {block["title"]: block["rows"] for block in (await client.get("/_twin/view")).json()["blocks"]}
    assert blocks["Faults ordered"] == [["slow", "* /notes/.*", "times=1, delay_ms=1"]]
    assert blocks["Faults met"] == [["slow", "PUT /notes/n1"]]
