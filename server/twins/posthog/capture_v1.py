"""The newer capture, which SDKs use when told to (`capture_mode="v1"`): the key as Bearer token, four headers that
say who sends and for the how manieth time, and a result for every event.

Sources: capture service `v1/`, posthog 7.91 `capture_v1.py`, posthog-node 5.70 `capture-v1/`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from starlette.responses import JSONResponse, Response

from server.twins.core import WireError
from server.twins.posthog import errors
from server.twins.posthog.capture import both
from server.twins.posthog.event import LONGEST_DISTINCT_ID, Event, corrected, instant, token_problem
from server.twins.posthog.json_text import parsed
from server.twins.posthog.payload import LARGEST_PAYLOAD, inflate, received

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.routing import Route

    from server.twins.posthog.state import Project

Doc = dict[str, Any]

PATH = "/i/v1/analytics/events"
LARGEST_BODY = 10 * 1024 * 1024
REQUIRED = (
    *("authorization", "content-type", "user-agent", "posthog-sdk-info", "posthog-attempt"),
    *("posthog-request-id", "posthog-request-timestamp"),
)
_LONGEST_NAME = 200
_OPTIONS = {
    "cookieless_mode": "$cookieless_mode",
    "disable_skew_correction": "$ignore_sent_at",
    "product_tour_id": "$product_tour_id",
    "process_person_profile": "$process_person_profile",
}
_ILLEGAL_WORDS = (
    "0 00000000-0000-0000-0000-000000000000 anonymous anonymous-user backend distinct_id distinctid email "
    "false guest id nan none not_authenticated null system true undefined user"
)
_ILLEGAL_IDS = frozenset((*_ILLEGAL_WORDS.split(), "[object object]"))


class CaptureV1:
    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        return both(PATH, self._capture, "POST")

    async def _capture(self, request: Request) -> Response:
        token, sent_at = _headers(request)
        encoding = request.headers.get("content-encoding", "").lower()
        batch, created_at = _batch(await _received(request), encoding)
        library = request.headers["posthog-sdk-info"]
        results: dict[str, Doc] = {}
        events: list[Event] = []
        for doc in batch:
            uuid = _uuid(doc.get("uuid"))
            if uuid in results:
                raise errors.v1(400, "duplicate_event_uuid", f"duplicate event uuid: {uuid}")
            problem = _problem(doc)
            results[uuid] = {"result": "drop", "details": problem} if problem else {"result": "ok"}
            if problem is None:
                events.append(self._event(doc, uuid, library, sent_at))
        if self._project.knows(token) and created_at:
            if "events" in self._project.limited():
                detail = "Billing quota exceeded. Events are being dropped. Upgrade your plan to resume ingestion."
                raise errors.v1(402, "billing_limit_exceeded", detail)
            self._project.keep(events)
        return JSONResponse({"results": results})

    def _event(self, doc: Doc, uuid: str, library: str, sent_at: datetime) -> Event:
        """What the newer form says in fields of its own, back where events keep it."""
        name, _, version = library.partition("/")
        properties: Doc = {**doc["properties"], "$lib": name, "$lib_version": version}
        options: Doc = doc.get("options") or {}
        properties |= {key: options[option] for option, key in _OPTIONS.items() if option in options}
        properties |= {f"${name}": doc[name] for name in ("session_id", "window_id") if doc.get(name)}
        timestamp = corrected(doc, properties, sent_at, self._project.now())
        return Event(uuid, doc["event"], doc["distinct_id"], timestamp, properties)


async def _received(request: Request) -> bytes:
    try:
        return await received(request, LARGEST_BODY)
    except WireError:
        raise errors.v1(413, "payload_too_large", f"payload too large: more than {LARGEST_BODY} bytes") from None


def _headers(request: Request) -> tuple[str, datetime]:
    """The key, and when the client says it sent. Raises what is wrong with the headers."""
    headers = request.headers
    if missing := [name for name in REQUIRED if name not in headers]:
        raise errors.v1(400, "missing_required_headers", f"request is missing required headers: {json.dumps(missing)}")
    scheme, _, token = headers["authorization"].partition(" ")
    if scheme.lower() != "bearer":
        raise _bad_header("Authorization must use Bearer scheme")
    if token_problem(token.strip()):
        raise errors.v1(401, "invalid_api_token", "The provided API token is not valid.")
    if headers["content-type"].partition(";")[0].strip().lower() != "application/json":
        raise errors.v1(415, "unsupported_content_type", f"unsupported content type: {headers['content-type']}")
    encoding = headers.get("content-encoding", "gzip")
    if encoding.lower() not in ("gzip", "deflate"):
        raise errors.v1(415, "unsupported_encoding", f"unsupported content encoding: {encoding}")
    attempt, sent_at = headers["posthog-attempt"], instant(headers["posthog-request-timestamp"])
    if not attempt.isdecimal() or int(attempt) < 1:
        raise _bad_header(f"posthog-attempt must be a positive integer: {attempt}")
    if sent_at is None:
        raise _bad_header(f"posthog-request-timestamp is not valid RFC 3339: {headers['posthog-request-timestamp']}")
    try:
        UUID(headers["posthog-request-id"])
    except ValueError:
        raise _bad_header(f"posthog-request-id is not a valid UUID: {headers['posthog-request-id']}") from None
    return token.strip(), sent_at


def _bad_header(what: str) -> WireError:
    return errors.v1(400, "invalid_header_value", f"invalid header value: {what}")


def _batch(raw: bytes, encoding: str) -> tuple[list[Doc], str]:
    if not raw:
        raise errors.v1(400, "empty_body", "request body is empty")
    try:
        found: Any = parsed(inflate(raw, encoding, LARGEST_PAYLOAD))
    except (ValueError, WireError):
        raise errors.v1(400, "request_parsing_error", "Failed to parse request body.") from None
    body = cast("Doc", found) if isinstance(found, dict) else {}
    batch: Any = body.get("batch")
    if not isinstance(batch, list) or not all(_is_event(each) for each in cast("list[Any]", batch)):
        raise errors.v1(400, "request_parsing_error", "Failed to parse request body.")
    if not batch:
        raise errors.v1(400, "empty_batch", "request batch is empty")
    created_at = body.get("created_at")
    if instant(created_at) is None:
        raise errors.v1(400, "invalid_batch", f"invalid batch: created_at is not valid RFC 3339: {created_at}")
    return cast("list[Doc]", batch), str(created_at)


def _is_event(item: Any) -> bool:
    """The types are strict: one wrong field and the whole batch cannot be read."""
    if not isinstance(item, dict):
        return False
    doc = cast("Doc", item)
    doc.setdefault("properties", {})
    return isinstance(doc.get("options"), dict) and all(
        isinstance(doc.get(name), str) for name in ("event", "uuid", "distinct_id", "timestamp")
    )


def _uuid(written: Any) -> str:
    try:
        return str(UUID(written.strip()))
    except ValueError:
        raise errors.v1(400, "missing_event_uuid", "event submitted without a uuid") from None


def _problem(doc: Doc) -> str | None:
    """Why the event is dropped while the others are kept."""
    checks = (
        ("dropped_performance_event", doc["event"] == "$performance_event"),
        ("missing_event_name", not doc["event"]),
        ("event_name_too_long", len(doc["event"]) > _LONGEST_NAME),
        ("missing_distinct_id", not doc["distinct_id"]),
        ("distinct_id_too_large", len(doc["distinct_id"]) > LONGEST_DISTINCT_ID),
        ("invalid_distinct_id", doc["distinct_id"].strip().lower() in _ILLEGAL_IDS),
        ("invalid_event_timestamp", instant(doc["timestamp"]) is None),
        ("malformed_event_properties", not isinstance(doc["properties"], dict)),
    )
    return next((tag for tag, wrong in checks if wrong), None)
