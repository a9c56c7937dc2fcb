"""The PostHog twin's newer capture: strict headers, strict fields, and a result for every event."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.twins.posthog.stage import GROUP, KEY

if TYPE_CHECKING:
    import httpx

    from tests.twins.posthog.stage import Doc, Stage

PATH = "/i/v1/analytics/events"
ONE, TWO = "01a20748-8b68-7f16-8279-1e5e05c59462", "01a20748-8b68-7f16-8279-1e5e05c59463"
HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/json",
    "PostHog-Sdk-Info": "posthog-node/5.70.0",
    "PostHog-Attempt": "1",
    "PostHog-Request-Id": str(uuid4()),
    "PostHog-Request-Timestamp": "2026-11-23T12:00:00Z",
}


def an_event(**fields: Any) -> Doc:
    return {
        "event": "saved",
        "uuid": ONE,
        "distinct_id": "u1",
        "timestamp": "2026-11-23T11:59:00Z",
        "options": {"process_person_profile": False},
        "session_id": "s1",
        "properties": {"$groups": {"app": GROUP}},
        **fields,
    }


async def send(posthog: Stage, *events: Doc, headers: Doc | None = None, **body: Any) -> httpx.Response:
    content = {"created_at": "2026-11-23T12:00:00Z", "batch": [*events], **body}
    wanted = {name: value for name, value in {**HEADERS, **(headers or {})}.items() if value is not None}
    packed = json.dumps(content).encode()
    if wanted.get("Content-Encoding") == "gzip":
        packed = gzip.compress(packed)
    if wanted.get("Content-Encoding") == "deflate":
        packed = zlib.compress(packed)
    return await posthog.http.post(PATH, content=packed, headers=wanted)


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
async def test_an_event_is_kept_with_what_its_own_fields_say(posthog: Stage, encoding: str | None) -> None:
    answer = await send(posthog, an_event(), headers={"Content-Encoding": encoding})
    assert answer.json() == {"results": {ONE: {"result": "ok"}}}
    (event,) = await posthog.captured(group=GROUP)
    kept = event["properties"]
    assert (kept["$lib"], kept["$lib_version"], kept["$session_id"]) == ("posthog-node", "5.70.0", "s1")
    assert kept["$process_person_profile"] is False
    assert event["timestamp"] == "2026-11-23 11:59:00.000000"


@pytest.mark.parametrize(
    ("changed", "details"),
    [
        ({"event": ""}, "missing_event_name"),
        ({"event": "x" * 201}, "event_name_too_long"),
        ({"event": "$performance_event"}, "dropped_performance_event"),
        ({"distinct_id": ""}, "missing_distinct_id"),
        ({"distinct_id": "x" * 201}, "distinct_id_too_large"),
        ({"distinct_id": " Anonymous"}, "invalid_distinct_id"),
        ({"timestamp": "yesterday"}, "invalid_event_timestamp"),
        ({"properties": []}, "malformed_event_properties"),
    ],
)
async def test_a_bad_event_is_dropped_and_the_other_kept(posthog: Stage, changed: Doc, details: str) -> None:
    answer = await send(posthog, an_event(uuid=TWO, **changed), an_event())
    assert answer.json()["results"] == {TWO: {"result": "drop", "details": details}, ONE: {"result": "ok"}}
    assert [event["uuid"] for event in await posthog.captured()] == [ONE]


@pytest.mark.parametrize(
    ("headers", "status", "tag"),
    [
        ({"Authorization": None}, 400, "missing_required_headers"),
        ({"PostHog-Attempt": None}, 400, "missing_required_headers"),
        ({"Authorization": "Basic abc"}, 400, "invalid_header_value"),
        ({"Authorization": "Bearer phx_mine"}, 401, "invalid_api_token"),
        ({"PostHog-Attempt": "0"}, 400, "invalid_header_value"),
        ({"PostHog-Request-Id": "seven"}, 400, "invalid_header_value"),
        ({"PostHog-Request-Timestamp": "now"}, 400, "invalid_header_value"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_content_type"),
        ({"Content-Encoding": "zstd"}, 415, "unsupported_encoding"),
    ],
)
async def test_a_wrong_header_refuses_the_request(posthog: Stage, headers: Doc, status: int, tag: str) -> None:
    answer = await send(posthog, an_event(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, tag)
    assert await posthog.captured() == []


@pytest.mark.parametrize(
    ("events", "body", "tag"),
    [
        ([], {}, "empty_batch"),
        ([an_event(uuid="one")], {}, "missing_event_uuid"),
        ([an_event(), an_event()], {}, "duplicate_event_uuid"),
        ([an_event(distinct_id=7)], {}, "request_parsing_error"),
        ([{"event": "x"}], {}, "request_parsing_error"),
        ([an_event()], {"created_at": "today"}, "invalid_batch"),
    ],
)
async def test_a_batch_that_cannot_be_read_is_refused_whole(
    posthog: Stage, events: list[Doc], body: Doc, tag: str
) -> None:
    answer = await send(posthog, *events, **body)
    assert (answer.status_code, answer.json()["error"]) == (400, tag)
    assert await posthog.captured() == []


async def test_over_quota_is_a_payment_required(posthog: Stage) -> None:
    await posthog.twin("PUT", "quota", json={"resources": ["events"]})
    answer = await send(posthog, an_event())
    assert (answer.status_code, answer.json()["error"]) == (402, "billing_limit_exceeded")
