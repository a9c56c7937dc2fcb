"""Broadcasts: one mail to a segment's subscribers, each with their own name in it (Resend docs, "Broadcasts")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, schedule, times

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body
    from server.twins.resend.keys import Key
    from server.twins.resend.segments import Segments
    from server.twins.resend.senders import Senders
    from server.twins.resend.topics import Topics

_LISTED = ("id", "name", "audience_id", "segment_id", "status", "created_at", "scheduled_at", "sent_at", "topic_id")
_SHOWN = (*_LISTED, "from", "subject", "reply_to", "preview_text", "html", "text")


class Broadcasts:
    """`wake` is called when there is one to deliver."""

    def __init__(
        self,
        site: Site,
        records: Records,
        *,
        segments: Segments,
        topics: Topics,
        senders: Senders,
        wake: Callable[[], None],
    ) -> None:
        self._site = site
        self._records = records
        self._segments = segments
        self._topics = topics
        self._senders = senders
        self._wake = wake

    def create(self, body: Body, key: Key) -> Body:
        """A draft, or with `send` one that is on its way."""
        empty: dict[str, Any] = dict.fromkeys(("name", "html", "text", "preview_text", "topic_id"))
        doc: Body = {
            "id": ids.uuid(),
            **empty,
            "reply_to": [],
            "status": "draft",
            "created_at": times.stamp(self._site.clock()),
            "scheduled_at": None,
            "sent_at": None,
            **self._content(_named(body)),
        }
        doc["name"] = doc["name"] or doc["subject"]
        send = fields.flag(body, "send")
        if body.get("scheduled_at") and not send:
            raise errors.invalid("The `scheduled_at` field can only be used if `send` is true.")
        if send:
            doc = self._queued(doc, body, key)
        self._records.put("broadcast", doc["id"], doc)
        self._wake()
        return {"object": "broadcast", "id": doc["id"]}

    def list(self) -> list[Body]:
        return [_shown(doc, _LISTED) for doc in self._records.all("broadcast")]

    def get(self, broadcast_id: str) -> Body:
        return {"object": "broadcast", **_shown(self.find(broadcast_id), _SHOWN)}

    def update(self, broadcast_id: str, body: Body) -> Body:
        doc = self._draft(broadcast_id, "updated")
        self._records.put("broadcast", doc["id"], {**doc, **self._content(body)})
        return {"object": "broadcast", "id": doc["id"]}

    def send(self, broadcast_id: str, body: Body, key: Key) -> Body:
        doc = self._queued(self._draft(broadcast_id, "sent"), body, key)
        self._records.put("broadcast", doc["id"], doc)
        self._wake()
        return {"id": doc["id"]}

    def cancel(self, broadcast_id: str) -> Body:
        """Back to a draft; one that some have already got stays sent, and nobody else gets it."""
        doc = self.find(broadcast_id)
        if doc["status"] != "queued":
            raise errors.invalid(
                f"Only a queued or scheduled broadcast can be canceled; this one is `{doc['status']}`."
            )
        begun = any(email["broadcast_id"] == doc["id"] for email in self._records.all("email"))
        now = times.stamp(self._site.clock())
        to: Body = {"status": "sent", "sent_at": now} if begun else {"status": "draft", "scheduled_at": None}
        self._records.put("broadcast", doc["id"], {**doc, **to})
        return {"object": "broadcast", "id": doc["id"]}

    def duplicate(self, broadcast_id: str) -> Body:
        doc = self.find(broadcast_id)
        anew: Body = {
            "status": "draft",
            "created_at": times.stamp(self._site.clock()),
            "scheduled_at": None,
            "sent_at": None,
        }
        copy: Body = {**doc, **anew, "id": ids.uuid(), "name": f"{doc['name']} (Copy)"}
        self._records.put("broadcast", copy["id"], copy)
        return {"object": "broadcast", "id": copy["id"]}

    def delete(self, broadcast_id: str) -> Body:
        doc = self.find(broadcast_id)
        if doc["status"] == "sent":
            raise errors.invalid("A broadcast that was sent cannot be deleted.")
        self._records.delete("broadcast", doc["id"])
        return {"object": "broadcast", "id": doc["id"], "deleted": True}

    def find(self, broadcast_id: str) -> Body:
        doc = self._records.get("broadcast", fields.uuid(broadcast_id))
        if doc is None:
            raise errors.not_found("Broadcast")
        return doc

    def _draft(self, broadcast_id: str, done: str) -> Body:
        doc = self.find(broadcast_id)
        if doc["status"] != "draft":
            raise errors.invalid(f"Only a draft broadcast can be {done}; this one is `{doc['status']}`.")
        return doc

    def _queued(self, doc: Body, body: Body, key: Key) -> Body:
        """`doc` on its way, when this key may send it."""
        if not doc["html"] and not doc["text"]:
            raise errors.invalid("Missing `html` or `text` field.")
        self._senders.judge({"from": doc["from"], "to": [], "cc": [], "bcc": []}, key)
        asked = fields.text(body, "scheduled_at")
        at = times.stamp(schedule.when(asked, self._site.clock())) if asked else None
        return {**doc, "status": "queued", "scheduled_at": at}

    def _content(self, body: Body) -> Body:
        """What the body gives of a broadcast's content."""
        texts = ("name", "subject", "preview_text", "html", "text")
        found: Body = {name: fields.text(body, name) or None for name in texts if body.get(name) is not None}
        if body.get("from") is not None:
            if fields.bare(fields.text(body, "from")) is None:
                raise errors.invalid_from()
            found["from"] = body["from"]
        if body.get("reply_to") is not None:
            found["reply_to"] = fields.addresses(body, "reply_to")
        if segment := fields.text(body, "segment_id") or fields.text(body, "audience_id"):
            found["segment_id"] = self._segments.find(segment)["id"]
        if "topic_id" in body:
            topic = fields.text(body, "topic_id")
            found["topic_id"] = self._topics.find(topic)["id"] if topic else None
        return found


def _named(body: Body) -> Body:
    """The body, when it has what a broadcast cannot be without."""
    if not (body.get("segment_id") or body.get("audience_id")):
        raise errors.missing_field("segment_id")
    for name in ("from", "subject"):
        fields.required(body, name)
    return body


def _shown(doc: Body, names: tuple[str, ...]) -> Body:
    told = {**doc, "audience_id": doc["segment_id"]}
    return {name: told[name] for name in names}
