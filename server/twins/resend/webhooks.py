"""Webhooks: who wants to hear of what, and what each was told (Resend docs, "Webhooks")."""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from server.twins.core import ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

EVENTS = frozenset(
    f"{subject}.{event}"
    for subject, events in {
        "email": "sent scheduled delivered delivery_delayed bounced complained opened clicked received failed "
        "suppressed",
        "contact": "created updated deleted topics.updated",
        "domain": "created updated deleted",
        "suppression": "added removed",
        "topic": "created updated deleted",
        "inbox": "created updated deleted email.received email.sent draft.created draft.updated draft.sent "
        "draft.deleted thread.created thread.folder.updated thread.assigned thread.unassigned thread.labels.updated",
    }.items()
    for event in events.split()
)
_LISTED = ("id", "endpoint", "created_at", "status", "events")


class Webhooks:
    """`wake` is called when there is something to deliver."""

    def __init__(self, site: Site, records: Records, wake: Callable[[], None]) -> None:
        self._site = site
        self._records = records
        self._wake = wake

    def create(self, body: Body) -> Body:
        doc: dict[str, Any] = {
            "id": ids.uuid(),
            "endpoint": _endpoint(fields.required(body, "endpoint")),
            "events": _events(body),
            "status": "enabled",
            "signing_secret": _secret(),
            "created_at": times.stamp(self._site.clock()),
        }
        self._records.put("webhook", doc["id"], doc)
        return {"object": "webhook", "id": doc["id"], "signing_secret": doc["signing_secret"]}

    def list(self) -> list[Body]:
        return [{name: doc[name] for name in _LISTED} for doc in self._records.all("webhook")]

    def get(self, webhook_id: str) -> Body:
        return {"object": "webhook", **self._find(webhook_id)}

    def update(self, webhook_id: str, body: Body) -> Body:
        doc = self._find(webhook_id)
        if body.get("endpoint") is not None:
            doc["endpoint"] = _endpoint(fields.text(body, "endpoint"))
        if body.get("events") is not None:
            doc["events"] = _events(body)
        doc["status"] = fields.choice(body, "status", ("enabled", "disabled"), doc["status"])
        self._records.put("webhook", doc["id"], doc)
        return {"object": "webhook", "id": doc["id"]}

    def rotate(self, webhook_id: str) -> Body:
        doc = {**self._find(webhook_id), "signing_secret": _secret()}
        self._records.put("webhook", doc["id"], doc)
        return {"object": "webhook", "id": doc["id"], "signing_secret": doc["signing_secret"]}

    def delete(self, webhook_id: str) -> Body:
        doc = self._find(webhook_id)
        self._records.delete("webhook", doc["id"])
        for event in self._told(doc["id"]):
            self._records.delete("webhook_event", event["id"])
        return {"object": "webhook", "id": doc["id"], "deleted": True}

    def events(self, webhook_id: str) -> list[Body]:
        told = self._told(self._find(webhook_id)["id"])
        return [{name: event[name] for name in ("id", "type", "created_at", "status")} for event in told]

    def event(self, webhook_id: str, event_id: str) -> Body:
        event = self._find_event(webhook_id, event_id)
        shown = ("id", "type", "created_at", "status", "next_attempt_at", "payload")
        return {"object": "webhook_event", **{name: event[name] for name in shown}}

    def attempts(self, webhook_id: str, event_id: str) -> list[Body]:
        return self._find_event(webhook_id, event_id)["attempts"]

    def replay(self, webhook_id: str, event_id: str) -> Body:
        event = self._find_event(webhook_id, event_id)
        due = {"status": "pending", "next_attempt_at": times.iso(self._site.clock()), "failures": 0}
        self._records.put("webhook_event", event["id"], {**event, **due})
        self._records.put("webhook_due", event["id"], {"id": event["id"]})
        self._wake()
        return {"object": "webhook_event", "id": event["id"]}

    def emit(self, kind: str, data: Body) -> None:
        """Something happened: every enabled webhook that asked for it will hear."""
        now = times.iso(self._site.clock())
        for webhook in self._records.all("webhook"):
            if webhook["status"] == "enabled" and kind in webhook["events"]:
                event: Body = {
                    "id": ids.token("msg_", 27),
                    "webhook_id": webhook["id"],
                    "type": kind,
                    "created_at": now,
                    "payload": {"type": kind, "created_at": now, "data": data},
                    "status": "pending",
                    "next_attempt_at": now,
                    "failures": 0,
                    "attempts": [],
                }
                self._records.put("webhook_event", event["id"], event)
                self._records.put("webhook_due", event["id"], {"id": event["id"]})
                self._wake()

    def _told(self, webhook_id: str) -> list[Body]:
        return [event for event in self._records.all("webhook_event") if event["webhook_id"] == webhook_id]

    def _find(self, webhook_id: str) -> Body:
        doc = self._records.get("webhook", fields.uuid(webhook_id))
        if doc is None:
            raise errors.not_found("Webhook")
        return doc

    def _find_event(self, webhook_id: str, event_id: str) -> Body:
        event = self._records.get("webhook_event", event_id)
        if event is None or event["webhook_id"] != self._find(webhook_id)["id"]:
            raise errors.not_found("Webhook event")
        return event


def _secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(24)).decode()


def _endpoint(url: str) -> str:
    try:
        parsed = urlsplit(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.hostname) and (parsed.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise errors.invalid("The `endpoint` field must be a valid URL.")
    return url


def _events(body: Body) -> list[str]:
    found = fields.items(body, "events")
    if not found:
        raise errors.missing_field("events")
    if unknown := next((each for each in found if each not in EVENTS), None):
        raise errors.invalid(f"The `events` field holds an unknown event type: {unknown}.")
    return [*dict.fromkeys(found)]
