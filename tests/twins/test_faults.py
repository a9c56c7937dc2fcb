"""Every way a twin can be told to go wrong, met by a real client over a real socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from server.secrets import Secret
from server.twins.core import Site, app
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

ADMIN = {"Authorization": "Bearer admin-token"}


class Things:
    """What the twin under test made."""

    def __init__(self) -> None:
        self.made = 0

    async def make(self, _request: Request) -> Response:
        self.made += 1
        return JSONResponse({"id": "t1", "owner": {"name": "ada", "id": 7}, "tags": ["a", "b"]}, 201)

    async def echo(self, websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())


class Bench:
    def __init__(self, client: httpx.AsyncClient, port: int, things: Things) -> None:
        self.client, self.port, self.things = client, port, things

    async def order(self, **fault: Any) -> None:
        (await self.client.post("/_twin/faults", json=fault, headers=ADMIN)).raise_for_status()

    async def make(self, seconds: float = 5) -> httpx.Response:
        return await self.client.post("/things", timeout=seconds)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    things = Things()
    site = Site("example", "", tmp_path, Secret("key"), Secret("admin-token"))
    routes = [Route("/things", things.make, methods=["POST"]), WebSocketRoute("/echo", things.echo)]
    async with (
        serving(app(site, routes), bind(), drain=1) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client,
    ):
        yield Bench(client, port, things)
        await client.delete("/_twin/faults", headers=ADMIN)


async def test_an_answer_hangs_at_its_headers_and_nothing_was_done(bench: Bench) -> None:
    await bench.order(hang="headers")
    with pytest.raises(httpx.ReadTimeout):
        await bench.make(0.2)
    assert bench.things.made == 0


async def test_an_answer_hangs_in_the_middle_of_its_body(bench: Bench) -> None:
    await bench.order(hang="body")
    async with bench.client.stream("POST", "/things", timeout=0.3) as answer:
        assert answer.status_code == 201
        with pytest.raises(httpx.ReadTimeout):
            await answer.aread()


async def test_a_deaf_twin_lets_nobody_connect_and_hears_again(bench: Bench) -> None:
    await bench.order(hang="connect", seconds=60)
    with socket.socket() as knocking:
        knocking.settimeout(0.4)
        with pytest.raises(TimeoutError):
            knocking.connect(("127.0.0.1", bench.port))
    # The connection that was open before still works, and ends it.
    assert (await bench.client.delete("/_twin/faults", headers=ADMIN)).status_code == 204
    async with httpx.AsyncClient(base_url=bench.client.base_url, timeout=10) as another:
        assert (await another.get("/_twin/health")).status_code == 200


async def test_a_connection_is_cut_before_and_after_the_work(bench: Bench) -> None:
    for fault, made in (({"reset": True}, 0), ({"lose_answer": True}, 1)):
        await bench.order(**fault, times=1)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await bench.make()
        assert bench.things.made == made


async def test_a_body_is_cut_short(bench: Bench) -> None:
    await bench.order(truncate=5, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await bench.make()
    assert bench.things.made == 1


async def test_another_answer_takes_the_place_of_the_true_one_with_or_without_the_work(bench: Bench) -> None:
    await bench.order(status=200, body="<html>", headers={"content-type": "text/html"}, done=True, times=1)
    answer = await bench.make()
    assert (answer.text, answer.headers["content-type"], bench.things.made) == ("<html>", "text/html", 1)
    await bench.order(status=302, headers={"location": "https://elsewhere.example/"}, times=1)
    assert (await bench.make()).headers["location"] == "https://elsewhere.example/"
    assert bench.things.made == 1


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("id", {"owner": {"name": "ada", "id": 7}, "tags": ["a", "b"]}),
        ("owner.id", {"id": "t1", "owner": {"name": "ada"}, "tags": ["a", "b"]}),
        ("tags.0", {"id": "t1", "owner": {"name": "ada", "id": 7}, "tags": ["b"]}),
        ("nobody.knows", {"id": "t1", "owner": {"name": "ada", "id": 7}, "tags": ["a", "b"]}),
    ],
)
async def test_a_field_is_missing_from_the_true_answer(bench: Bench, path: str, left: dict[str, Any]) -> None:
    await bench.order(drop_field=path)
    assert (await bench.make()).json() == left


async def test_an_answer_is_correct_and_far_too_big(bench: Bench) -> None:
    await bench.order(pad=3_000_000)
    answer = await bench.make()
    assert answer.json()["id"] == "t1"
    assert len(answer.content) > 3_000_000


async def test_a_seeded_fault_meets_the_same_requests_every_time(bench: Bench) -> None:
    async def statuses() -> list[int]:
        await bench.client.delete("/_twin/faults", headers=ADMIN)
        await bench.order(probability=0.5, seed=3, status=503)
        return [(await bench.make()).status_code for _ in range(20)]

    first = await statuses()
    assert set(first) == {201, 503}
    assert await statuses() == first


async def test_a_fault_waits_for_its_turn_and_is_remembered(bench: Bench) -> None:
    await bench.order(id="third", skip=2, times=1, status=500)
    assert [(await bench.make()).status_code for _ in range(4)] == [201, 201, 500, 201]
    met = (await bench.client.get("/_twin/faults/met", headers=ADMIN)).json()["met"]
    assert met == [{"fault": "third", "method": "POST", "path": "/things"}]


async def test_a_websocket_is_refused_then_cut_after_some_bytes(bench: Bench) -> None:
    address = f"ws://127.0.0.1:{bench.port}/echo"
    await bench.order(method="websocket", status=503, times=1)
    with pytest.raises(InvalidStatus):
        await connect(address)
    await bench.order(method="websocket", truncate=4, times=1)
    async with connect(address) as through:
        await through.send("four")
        assert await through.recv() == "four"
        await through.send("more")
        with pytest.raises(ConnectionClosedError):
            await through.recv()
