"""An event as an SDK sends it, and as it is kept.

Sources: PostHog's capture service (`v0_request.rs`, `RawEvent`), the plugin server's timestamps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from server.twins.core import ids
from server.twins.posthog import errors

Doc = dict[str, Any]

LONGEST_TOKEN = 64
LONGEST_DISTINCT_ID = 200
LARGEST_EVENT = 1_000_000
"""Bytes of one event: what the queue behind capture takes."""
_FUTURE = timedelta(hours=23)
"""A clock that is further ahead than this is not believed."""
NOT_KEPT = ("$$client_ingestion_warning", "$$heatmap")


@dataclass(frozen=True)
class Request:
    """What one request carries: its events, and what surrounds them."""

    events: list[Doc]
    token: str
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Event:
    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    properties: Doc

    @property
    def told_groups(self) -> dict[str, str]:
        """Group type to group key, as the event names them."""
        named = self.properties.get("$groups")
        groups = cast("Doc", named) if isinstance(named, dict) else {}
        return {kind: str(key) for kind, key in groups.items() if kind and key not in (None, "")}

    @property
    def has_person(self) -> bool:
        """Whether the sender wants a person profile; posthog-js says no for whom nobody has identified."""
        return self.properties.get("$process_person_profile") not in (False, "false")


def request_of(payload: Any, path: str) -> Request:
    """One event, an array of events, or a batch of them."""
    if isinstance(payload, list):
        events = _all_events(cast("list[Any]", payload))
        return Request(_wanted(events), _one_token(events))
    if not isinstance(payload, dict):
        raise errors.not_events()
    doc = cast("Doc", payload)
    batch, token = doc.get("batch"), doc.get("api_key", doc.get("token"))
    if isinstance(batch, list) and isinstance(token, str) and all(_is_event(each) for each in cast("list[Any]", batch)):
        return Request(_wanted(cast("list[Doc]", batch)), checked_token(token), instant(doc.get("sent_at")))
    if not isinstance(doc.get("event"), str):
        if not path.startswith("/engage"):
            raise errors.no_event_field()
        doc = {**doc, "event": "$identify"}
    events = _all_events([doc])
    return Request(_wanted(events), _one_token(events), instant(doc.get("sent_at")))


def _all_events(items: list[Any]) -> list[Doc]:
    if not all(_is_event(each) for each in items):
        raise errors.not_events()
    return cast("list[Doc]", items)


def _is_event(item: Any) -> bool:
    """Whether capture could read it at all; what is in its fields is looked at later."""
    if not isinstance(item, dict):
        return False
    doc = cast("Doc", item)
    fits = isinstance(doc.get("event"), str) and isinstance(doc.get("properties") or {}, dict)
    return fits and (not doc.get("uuid") or _uuid(doc["uuid"]) is not None)


def _wanted(events: list[Doc]) -> list[Doc]:
    if not events:
        raise errors.empty_batch()
    wanted = [event for event in events if event["event"] != "$performance_event"]
    if not wanted:
        raise errors.filtered_payload()
    return wanted


def _one_token(events: list[Doc]) -> str:
    tokens = {token for event in events if (token := _token(event)) is not None}
    if not events:
        raise errors.empty_batch()
    if not tokens:
        raise errors.no_token()
    if len(tokens) > 1:
        raise errors.mixed_tokens()
    return checked_token(tokens.pop())


def _token(doc: Doc) -> str | None:
    properties: Doc = doc.get("properties") or {}
    named = (doc.get("api_key"), doc.get("token"), doc.get("$token"), properties.get("token"))
    return next((each for each in named if isinstance(each, str)), None)


def token_problem(token: str) -> str | None:
    """What is wrong with a key's shape; whose it is, is found out later."""
    if not token:
        return "empty"
    if len(token) > LONGEST_TOKEN:
        return "too_long"
    if not token.isascii():
        return "not_ascii"
    if "\0" in token:
        return "null_byte"
    return "personal_api_key" if token.startswith("phx_") else None


def checked_token(token: str) -> str:
    if problem := token_problem(token):
        raise errors.bad_token(problem)
    return token


def event_of(doc: Doc, sent_at: datetime | None, now: datetime) -> Event:
    """The event, whole. Raises capture's refusals."""
    if not doc["event"]:
        raise errors.no_event_name()
    told: Doc = doc.get("properties") or {}
    properties = {**told}
    for moved in ("$set", "$set_once"):
        if isinstance(doc.get(moved), dict):
            properties.setdefault(moved, doc[moved])
    distinct_id = distinct_id_of(doc, properties)
    if not distinct_id:
        raise errors.no_distinct_id()
    if len(json.dumps(doc)) > LARGEST_EVENT:
        raise errors.too_big("Event rejected by kafka during send")
    return Event(
        uuid=_uuid(doc.get("uuid")) or ids.uuid(),
        event=doc["event"],
        distinct_id=distinct_id,
        timestamp=corrected(doc, properties, sent_at, now),
        properties=properties,
    )


def distinct_id_of(doc: Doc, properties: Doc) -> str:
    """At most 200 characters of it; empty when there is none."""
    named = (doc.get("distinct_id"), doc.get("$distinct_id"), properties.get("distinct_id"))
    found = next((each for each in named if each is not None), "")
    text = found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))
    return text.replace("\0", "\ufffd")[:LONGEST_DISTINCT_ID]


def corrected(doc: Doc, properties: Doc, sent_at: datetime | None, now: datetime) -> datetime:
    """When it happened by our clock: a client whose clock is wrong says by `sent_at` how wrong."""
    try:
        happened = _happened(doc, properties, sent_at, now)
        return now if happened - now > _FUTURE else happened
    except OverflowError:
        return now


def _happened(doc: Doc, properties: Doc, sent_at: datetime | None, now: datetime) -> datetime:
    happened = instant(doc.get("timestamp") or properties.get("timestamp"))
    if happened is None:
        offset = doc.get("offset")
        return now - timedelta(milliseconds=offset) if isinstance(offset, int) and offset > 0 else now
    if sent_at and properties.get("$ignore_sent_at") is not True:
        return now - (sent_at - happened)
    return happened


def instant(written: Any) -> datetime | None:
    if not isinstance(written, str):
        return None
    try:
        found = datetime.fromisoformat(written)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _uuid(written: Any) -> str | None:
    try:
        return str(UUID(written.strip())) if isinstance(written, str) else None
    except ValueError:
        return None
