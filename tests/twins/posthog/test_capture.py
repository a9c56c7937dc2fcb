"""The PostHog twin: every form in which events arrive, and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.twins.posthog.stage import GROUP, KEY, a_batch, an_event

if TYPE_CHECKING:
    from tests.twins.posthog.stage import Stage

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
HELLO_IN_LZ64 = b"BIUwNmD2A0AEDukBOYAmBCIA"
"""`Hello, world!`, as the LZ-string library writes it."""


def with_token(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "properties": {**event["properties"], "token": KEY}}


@pytest.mark.parametrize(
    "path", ["/e", "/e/", "/i/v0/e/", "/capture/", "/track/", "/batch", "/batch/", "/i/v0/ai/batch/"]
)
@pytest.mark.parametrize(
    ("query", "headers", "content"),
    [
        ("", JSON, a_batch()),
        ("?ip=1", PLAIN, gzip.compress(a_batch())),  # posthog-js says nothing of the gzip
        ("?compression=gzip-js", PLAIN, gzip.compress(a_batch())),
        ("", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(a_batch())),
        ("", {"Content-Encoding": "deflate"}, zlib.compress(a_batch())),
        ("?compression=base64", FORM, b"data=" + quote(b64encode(a_batch())).encode()),
        ("", FORM, b"data=" + b64encode(a_batch())),
        ("", FORM, b"compression=base64&data=" + quote(b64encode(a_batch())).encode()),
        ("", PLAIN, b64encode(a_batch())),
        ("", PLAIN, b64encode(gzip.compress(a_batch()))),
        ("", PLAIN, b"data=" + quote(a_batch()).encode()),
        ("", JSON, a_batch(historical_migration=True)),
        ("", {}, json.dumps({"api_key": KEY, **an_event()}).encode()),
        ("", {}, json.dumps({"token": KEY, "batch": [an_event()]}).encode()),
        ("", {}, json.dumps([with_token(an_event())]).encode()),
    ],
)
async def test_every_form_an_sdk_sends_is_kept(
    posthog: Stage, path: str, query: str, headers: dict[str, str], content: bytes
) -> None:
    answer = await posthog.http.post(path + query, content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})
    (event,) = await posthog.captured()
    assert (event["event"], event["distinct_id"], event["properties"]["tab"]) == ("tab_opened", "u1", "home")


async def test_an_event_may_be_in_the_query(posthog: Stage) -> None:
    assert (await posthog.http.get("/e/", params={"data": b64encode(a_batch()).decode()})).status_code == 200
    assert len(await posthog.captured()) == 1


async def test_the_old_lz_compression_is_undone(posthog: Stage) -> None:
    answer = await posthog.http.post("/e/?compression=lz64", content=HELLO_IN_LZ64, headers=PLAIN)
    assert answer.text == "failed to parse request: expected value at line 1 column 1", "it is not JSON, but read"
    broken = await posthog.http.post("/e/?compression=lz64", content=b"!!", headers=PLAIN)
    assert broken.text == "failed to decode request: invalid LZ64 data"


async def test_a_beacon_gets_no_content(posthog: Stage) -> None:
    assert (await posthog.http.post("/e/?beacon=1", content=a_batch())).status_code == 204
    assert len(await posthog.captured()) == 1


async def test_events_are_read_back_by_group(posthog: Stage) -> None:
    other = an_event(properties={"$groups": {"app": "mk0r-other"}})
    await posthog.capture(an_event(), other, an_event("saved"))
    assert len(await posthog.captured(group=GROUP)) == 2
    assert len(await posthog.captured(group="mk0r-other")) == 1
    assert len(await posthog.captured(event="saved")) == 1
    assert (await posthog.http.get("/_twin/events")).status_code == 401


async def test_an_event_delivered_twice_is_one_event(posthog: Stage) -> None:
    event = an_event(uuid="01a20748-8b68-7f16-8279-1e5e05c59462")
    for _ in range(2):
        await posthog.capture(event)
    assert len(await posthog.captured()) == 1


async def test_a_wrong_clock_is_set_right(posthog: Stage) -> None:
    behind = an_event("behind", timestamp="2001-01-01T00:00:00Z")
    await posthog.capture(behind, sent_at="2001-01-01T00:00:10Z")
    await posthog.capture(an_event("ahead", timestamp="2090-01-01T00:00:00Z"))
    by_query = json.dumps({"api_key": KEY, **an_event("query", timestamp="2020-06-01T00:00:00Z")})
    await posthog.http.post("/e/?_=1590969610000", content=by_query)
    kept = {event["event"]: event["timestamp"] for event in await posthog.captured()}
    assert kept["behind"] == "2026-11-23 11:59:50.000000", "ten seconds before it was sent"
    assert kept["ahead"] == "2026-11-23 12:00:00.000000", "a day in the future is not believed"
    assert kept["query"] == "2026-11-23 11:59:50.000000"


async def test_an_old_time_stays_as_it_was_told(posthog: Stage) -> None:
    await posthog.capture(an_event(timestamp="2019-05-01T10:00:00+02:00"), historical_migration=True)
    (kept,) = await posthog.captured()
    assert kept["timestamp"] == "2019-05-01 08:00:00.000000"


async def test_a_key_of_no_project_is_accepted_and_its_events_are_lost(posthog: Stage) -> None:
    content = json.dumps({"api_key": "phc_somebody_elses", "batch": [an_event()]}).encode()
    assert (await posthog.http.post("/e/", content=content)).status_code == 200
    assert await posthog.captured() == []


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 400, "request missing data payload"),
        (b"{", 400, "failed to parse request: EOF while parsing a value at line 1 column 2"),
        (b'{"api_key":', 400, "failed to parse request: EOF while parsing a value at line 1 column 12"),
        (b'{"a": }', 400, "failed to parse request: expected value at line 1 column 7"),
        (b'{"api_key": NaN}', 400, "failed to parse request: expected value at line 1 column 1"),
        (b"\xff\xfe{}", 400, "failed to decode request: invalid UTF8 in request payload"),
        (b"\x1f\x8b\x08nonsense", 400, "failed to decode request: invalid GZIP data"),
        (gzip.compress(a_batch())[:-9], 400, "failed to decode request: invalid GZIP data"),
        (b'{"api_key": "phc_project", "batch": []}', 400, "request holds no event"),
        (b"[]", 400, "request holds no event"),
        (b"[1]", 400, "failed to parse request: data did not match any variant of untagged enum RawRequest"),
        (b"7", 400, "failed to parse request: data did not match any variant of untagged enum RawRequest"),
        (
            a_batch({"distinct_id": "u"}),
            400,
            "failed to hydrate events from request: non-engage request missing event name attribute",
        ),
        (a_batch({"event": "", "distinct_id": "u"}), 400, "event submitted with an empty event name"),
        (a_batch({"event": "x"}), 400, "event submitted without a distinct_id"),
        (a_batch({"event": "x", "distinct_id": ""}), 400, "event submitted without a distinct_id"),
        (a_batch({"event": "$performance_event"}), 400, "payload empty after filtering invalid event types"),
        (json.dumps(an_event()).encode(), 401, "event submitted without an api_key"),
        (json.dumps({"api_key": "", **an_event()}).encode(), 401, "API key is not valid: empty"),
        (json.dumps({"api_key": "k" * 65, **an_event()}).encode(), 401, "API key is not valid: too_long"),
        (json.dumps({"api_key": "clé", **an_event()}).encode(), 401, "API key is not valid: not_ascii"),
        (json.dumps({"api_key": "phx_mine", **an_event()}).encode(), 401, "API key is not valid: personal_api_key"),
        (
            json.dumps([with_token(an_event()), an_event(api_key="phc_other")]).encode(),
            401,
            "batch submitted with inconsistent api_key values",
        ),
        (
            gzip.compress(b" " * 27_000_000),
            413,
            "maximum event size exceeded: Event or batch exceeded 26214400 during unzipping",
        ),
        (
            a_batch(an_event(properties={"text": "x" * 1_000_001})),
            413,
            "maximum event size exceeded: Event rejected by kafka during send",
        ),
    ],
)
async def test_a_refusal_is_plain_text_and_keeps_nothing(
    posthog: Stage, content: bytes, status: int, said: str
) -> None:
    answer = await posthog.http.post("/e/", content=content)
    assert (answer.status_code, answer.text) == (status, said)
    assert answer.headers["content-type"].startswith("text/plain")
    assert await posthog.captured() == []


@pytest.mark.parametrize("poison", ["1e999", '"\\ud800"', '"\\u0000"', "1" + "0" * 400])
async def test_what_no_database_can_keep_does_no_harm(posthog: Stage, poison: str) -> None:
    content = (
        f'{{"api_key": "{KEY}", "event": "x", "distinct_id": "u", "properties": {{"odd": {poison}, "tab": "home"}}}}'
    )
    await posthog.http.post("/e/", content=content.encode())
    await posthog.capture(an_event())
    assert await posthog.rows("select count() from events where properties.tab = 'home' and event = 'tab_opened'") == [
        [1]
    ]
    assert (await posthog.http.get("/_twin/events", headers={"Authorization": "Bearer admin-token"})).status_code == 200


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "soon", "", None])
@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None])
async def test_no_clock_is_too_wrong(posthog: Stage, timestamp: str | None, sent_at: str | None) -> None:
    assert (await posthog.capture(an_event(timestamp=timestamp), sent_at=sent_at)).status_code == 200
    assert len(await posthog.captured()) == 1


async def test_a_body_of_more_than_20_megabytes_is_refused(posthog: Stage) -> None:
    answer = await posthog.http.post("/batch/", content=b" " * (20 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.text.startswith("maximum event size exceeded")


async def test_one_bad_event_refuses_its_batch(posthog: Stage) -> None:
    assert (await posthog.capture(an_event(), {"event": "x"})).status_code == 400
    assert await posthog.captured() == []


async def test_engage_is_an_identify_without_a_name(posthog: Stage) -> None:
    body = {"token": KEY, "$distinct_id": "u1", "$set": {"plan": "pro"}}
    assert (await posthog.http.post("/engage/", json=body)).status_code == 200
    (event,) = await posthog.captured()
    assert (event["event"], event["properties"]["$set"]) == ("$identify", {"plan": "pro"})


async def test_a_long_distinct_id_is_cut_and_a_number_is_a_text(posthog: Stage) -> None:
    await posthog.capture(an_event(distinct_id="x" * 300), an_event(distinct_id=42))  # type: ignore[arg-type]
    assert [len(event["distinct_id"]) for event in await posthog.captured()] == [200, 2]


async def test_any_page_may_call_it(posthog: Stage) -> None:
    page = "http://5173-abc.localhost:4000"
    asked = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-custom",
    }
    for path in ("/e/", "/flags/", "/s/", "/i/v1/analytics/events"):
        preflight = await posthog.http.options(path, headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == page
        assert preflight.headers["access-control-allow-credentials"] == "true"
        assert "x-custom" in preflight.headers["access-control-allow-headers"]
    refused = await posthog.http.post("/e/", content=b"{", headers={"Origin": page})
    assert refused.headers["access-control-allow-origin"] == page
    assert (await posthog.http.options("/e/")).json() == {"status": "Ok"}


async def test_a_held_capture_is_kept_once_it_is_let_go(posthog: Stage) -> None:
    await posthog.twin("POST", "faults", json={"path": "/batch/", "hold": "gate"})
    call = asyncio.create_task(posthog.capture())
    async with asyncio.timeout(5):
        while (await posthog.twin("GET", "held"))["held"] != {"gate": 1}:  # noqa: ASYNC110 - over the wire
            await asyncio.sleep(0)
    assert await posthog.captured() == []
    await posthog.twin("POST", "release", json={"name": "gate"})
    assert (await call).status_code == 200
    assert len(await posthog.captured()) == 1
