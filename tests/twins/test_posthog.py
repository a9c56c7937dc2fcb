"""The PostHog twin: every form today's SDKs send, and what is kept of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from server.secrets import Secret
from server.twins.core import Site
from server.twins.posthog import build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "phc_project"
GROUP = "mk0r-abc123def456"
ADMIN = {"Authorization": "Bearer admin-token"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    site = Site("posthog", "http://localhost", tmp_path, Secret(KEY), Secret("admin-token"))
    transport = httpx.ASGITransport(build(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def an_event(**fields: Any) -> dict[str, Any]:
    properties = {"tab": "home", "$groups": {"app": GROUP}}
    return {"event": "tab_opened", "distinct_id": "u1", "properties": properties, **fields}


def a_batch(*events: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"api_key": KEY, "batch": events or [an_event()], **fields}).encode()


async def captured(client: httpx.AsyncClient, query: str = f"group={GROUP}") -> list[dict[str, Any]]:
    return (await client.get(f"/_twin/events?{query}", headers=ADMIN)).json()["events"]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN = {"Content-Type": "text/plain"}


@pytest.mark.parametrize("path", ["/e", "/e/", "/i/v0/e/", "/capture/", "/track/", "/batch", "/batch/"])
@pytest.mark.parametrize(
    ("query", "headers", "content"),
    [
        ("", {"Content-Type": "application/json"}, a_batch()),
        ("?ip=1", PLAIN, gzip.compress(a_batch())),  # posthog-js says nothing of the gzip
        ("", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(a_batch())),
        ("", {"Content-Encoding": "deflate"}, zlib.compress(a_batch())),
        ("?compression=base64", FORM, b"data=" + quote(b64encode(a_batch())).encode()),
        ("", FORM, b"data=" + b64encode(a_batch())),
        ("", PLAIN, b"data=" + quote(a_batch()).encode()),
        ("", {}, json.dumps({"api_key": KEY, **an_event()}).encode()),
        ("", {}, json.dumps([{**an_event(), "properties": {**an_event()["properties"], "token": KEY}}]).encode()),
    ],
)
async def test_every_form_an_sdk_sends_is_kept(
    client: httpx.AsyncClient, path: str, query: str, headers: dict[str, str], content: bytes
) -> None:
    answer = await client.post(path + query, content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})
    (event,) = await captured(client)
    assert (event["event"], event["distinct_id"], event["properties"]["tab"]) == ("tab_opened", "u1", "home")


async def test_a_beacon_gets_no_content(client: httpx.AsyncClient) -> None:
    assert (await client.post("/e/?beacon=1", content=a_batch())).status_code == 204
    assert len(await captured(client)) == 1


async def test_events_are_read_back_by_group(client: httpx.AsyncClient) -> None:
    other = an_event(properties={"$groups": {"app": "mk0r-other"}})
    await client.post("/batch/", content=a_batch(an_event(), other, an_event(event="saved")))
    assert len(await captured(client)) == 2
    assert len(await captured(client, "group=mk0r-other")) == 1
    assert len(await captured(client, "event=saved")) == 1
    assert (await client.get("/_twin/events")).status_code == 401


async def test_an_event_delivered_twice_is_one_event(client: httpx.AsyncClient) -> None:
    event = an_event(uuid="01a20748-8b68-7f16-8279-1e5e05c59462")
    for _ in range(2):
        await client.post("/batch/", content=a_batch(event))
    assert len(await captured(client)) == 1


async def test_a_group_is_described_and_a_sixth_type_ignored(client: httpx.AsyncClient) -> None:
    told = {"$group_type": "app", "$group_key": GROUP, "$group_set": {"name": "My app"}}
    await client.post("/e/", content=a_batch({"event": "$groupidentify", "distinct_id": "p", "properties": told}))
    groups = (await client.get("/_twin/events", headers=ADMIN)).json()["groups"]
    assert groups == [{"group_type": "app", "group_key": GROUP, "properties": {"name": "My app"}}]
    for number in range(5):
        await client.post("/e/", content=a_batch(an_event(properties={"$groups": {f"type{number}": "x"}})))
    assert len(await captured(client, "group=x")) == 4


async def test_a_wrong_clock_is_set_right(client: httpx.AsyncClient) -> None:
    event = an_event(timestamp="2001-01-01T00:00:00Z")
    await client.post("/e/", content=a_batch(event, sent_at="2001-01-01T00:00:10Z"))
    (kept,) = await captured(client)
    assert kept["timestamp"] > "2026"


async def test_a_key_of_no_project_is_accepted_and_its_events_are_lost(client: httpx.AsyncClient) -> None:
    content = json.dumps({"api_key": "phc_somebody_elses", "batch": [an_event()]}).encode()
    assert (await client.post("/e/", content=content)).status_code == 200
    assert await captured(client) == []


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 400, "request missing data payload"),
        (b"{", 400, "failed to parse request: invalid JSON"),
        (b"\x1f\x8bnonsense", 400, "failed to decode request: invalid gzip data"),
        (a_batch()[:-2], 400, "failed to parse request: invalid JSON"),
        (b'{"api_key": "phc_project", "batch": []}', 400, "request holds no event"),
        (
            b'{"api_key": "phc_project", "batch": [1]}',
            400,
            "failed to hydrate events from request: an event is not an object",
        ),
        (a_batch({"distinct_id": "u"}), 400, "event submitted with an empty event name"),
        (a_batch({"event": "x"}), 400, "event submitted without a distinct_id"),
        (json.dumps(an_event()).encode(), 401, "event submitted without an api_key"),
        (json.dumps({"api_key": "", **an_event()}).encode(), 401, "API key is not valid: empty"),
        (json.dumps({"api_key": "phx_mine", **an_event()}).encode(), 401, "API key is not valid: personal_api_key"),
        (a_batch(an_event(api_key="phc_other")), 401, "batch submitted with inconsistent api_key values"),
        (gzip.compress(b" " * 3_000_000), 413, "maximum event size exceeded: 2097152 bytes"),
    ],
)
async def test_a_refusal_is_plain_text_and_keeps_nothing(
    client: httpx.AsyncClient, content: bytes, status: int, said: str
) -> None:
    answer = await client.post("/e/", content=content)
    assert (answer.status_code, answer.text) == (status, said)
    assert await captured(client, "") == []


async def test_one_bad_event_refuses_its_batch(client: httpx.AsyncClient) -> None:
    assert (await client.post("/batch/", content=a_batch(an_event(), {"event": "x"}))).status_code == 400
    assert await captured(client) == []


async def test_the_newer_capture_answers_for_each_event(client: httpx.AsyncClient) -> None:
    batch = [an_event(uuid="one"), {"event": "x", "uuid": "two"}]
    content = gzip.compress(json.dumps({"created_at": "2026-11-23T07:22:05Z", "batch": batch}).encode())
    headers = {"Authorization": f"Bearer {KEY}", "Content-Encoding": "gzip"}
    results = (await client.post("/i/v1/analytics/events", content=content, headers=headers)).json()["results"]
    assert {uuid: result["result"] for uuid, result in results.items()} == {"one": "ok", "two": "drop"}
    assert (await client.post("/i/v1/analytics/events", content=content)).status_code == 401


async def test_flags_know_their_project(client: httpx.AsyncClient) -> None:
    asked = {"token": KEY, "distinct_id": "u1", "groups": {"app": GROUP}}
    answer = await client.post("/flags/?v=2", content=gzip.compress(json.dumps(asked).encode()), headers=PLAIN)
    assert answer.json()["flags"] == {}
    assert answer.json()["errorsWhileComputingFlags"] is False
    for change, status in (({"token": "phc_no"}, 401), ({"token": None}, 401), ({"distinct_id": None}, 400)):
        assert (await client.post("/flags/?v=2", json={**asked, **change})).status_code == status


async def test_remote_config_asks_for_nothing_more(client: httpx.AsyncClient) -> None:
    config = (await client.get(f"/array/{KEY}/config")).json()
    assert (config["analytics"]["endpoint"], config["sessionRecording"]) == ("/i/v0/e/", False)
    script = await client.get(f"/array/{KEY}/config.js")
    assert script.headers["content-type"].startswith("application/javascript")
    assert f'window._POSTHOG_REMOTE_CONFIG["{KEY}"]=' in script.text
    assert (await client.get("/array/phc_no/config")).status_code == 404
    assert (await client.get("/static/recorder.js")).status_code == 200


async def test_any_page_may_call_it(client: httpx.AsyncClient) -> None:
    page = "http://5173-abc.localhost:4000"
    asked = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-custom",
    }
    preflight = await client.options("/e/", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == page
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "x-custom" in preflight.headers["access-control-allow-headers"]
    refused = await client.post("/e/", content=b"{", headers={"Origin": page})
    assert refused.headers["access-control-allow-origin"] == page


async def test_a_held_capture_is_kept_once_it_is_let_go(client: httpx.AsyncClient) -> None:
    await client.post("/_twin/faults", json={"path": "/e/", "hold": "gate"}, headers=ADMIN)
    call = asyncio.create_task(client.post("/e/", content=a_batch()))
    async with asyncio.timeout(5):
        while (await client.get("/_twin/held", headers=ADMIN)).json()["held"] != {"gate": 1}:  # noqa: ASYNC110 - over the wire
            await asyncio.sleep(0)
    assert await captured(client) == []
    await client.post("/_twin/release", json={"name": "gate"}, headers=ADMIN)
    assert (await call).status_code == 200
    assert len(await captured(client)) == 1
