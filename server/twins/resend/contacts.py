"""Contacts: the team's, one per address, in any segments (Resend docs, "Contacts")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, segments, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.contact_properties import ContactProperties
    from server.twins.resend.fields import Body
    from server.twins.resend.segments import Segments
    from server.twins.resend.topics import Topics
    from server.twins.resend.webhooks import Webhooks

_SHOWN = ("id", "email", "first_name", "last_name", "created_at", "unsubscribed")


class Contacts:
    def __init__(
        self,
        site: Site,
        records: Records,
        *,
        segments: Segments,
        properties: ContactProperties,
        topics: Topics,
        webhooks: Webhooks,
    ) -> None:
        self._site = site
        self._records = records
        self._segments = segments
        self._properties = properties
        self._topics = topics
        self._webhooks = webhooks

    def create(self, body: Body, segment_id: str = "", word: str = "segment") -> Body:
        """Add a contact, or the segments and fields given to the one who has this address already."""
        email = fields.required(body, "email")
        if fields.bare(email) != email:
            raise errors.invalid_address("email")
        wanted = [segment_id or fields.text(body, "audience_id"), *_segment_ids(body)]
        joined = [self._segments.find(each, word)["id"] for each in wanted if each]
        known = self.by_email(email)
        doc = self._changed(known or self._new(email), body)
        doc["segments"] = [*dict.fromkeys([*doc["segments"], *joined])]
        if "topics" in body and body["topics"] is not None:
            doc["topics"] = {**doc["topics"], **self._topics.subscriptions(body["topics"])}
        self._records.put("contact_email", email.lower(), {"id": doc["id"]})
        self._keep("contact.updated" if known else "contact.created", doc)
        return {"object": "contact", "id": doc["id"]}

    def list(self, segment_id: str = "", word: str = "segment") -> list[Body]:
        return [_shown(doc) for doc in (self.within(segment_id, word) if segment_id else self._records.all("contact"))]

    def within(self, segment_id: str, word: str = "segment") -> list[Body]:
        """Everybody in a segment, as kept."""
        found = self._segments.find(segment_id, word)["id"]
        return [doc for doc in self._records.all("contact") if found in doc["segments"]]

    def get(self, who: str) -> Body:
        doc = self.find(who)
        return {"object": "contact", **_shown(doc), "properties": self._properties.shown(doc["properties"])}

    def update(self, who: str, body: Body) -> Body:
        doc = self._changed(self.find(who), body)
        self._keep("contact.updated", doc)
        return {"object": "contact", "id": doc["id"]}

    def delete(self, who: str) -> Body:
        """One that is not there is deleted just the same (recorded in the npm SDK's integration tests)."""
        doc = self._known(who)
        if doc is None:
            return {"object": "contact", "contact": who, "deleted": True}
        self._records.delete("contact", doc["id"])
        self._records.delete("contact_email", doc["email"].lower())
        self._webhooks.emit("contact.deleted", self._event(doc))
        return {"object": "contact", "contact": doc["id"], "id": doc["id"], "deleted": True}

    def segments_of(self, who: str) -> list[Body]:
        return [segments.shown(self._segments.find(each)) for each in self.find(who)["segments"]]

    def join(self, who: str, segment_id: str) -> Body:
        doc, segment = self.find(who), self._segments.find(segment_id)["id"]
        doc["segments"] = [*dict.fromkeys([*doc["segments"], segment])]
        self._keep("contact.updated", doc)
        return {"object": "contact_segment", "id": segment, "contact_id": doc["id"], "segment_id": segment}

    def leave(self, who: str, segment_id: str) -> Body:
        doc, segment = self.find(who), self._segments.find(segment_id)["id"]
        doc["segments"] = [each for each in doc["segments"] if each != segment]
        self._keep("contact.updated", doc)
        told = {"object": "contact_segment", "id": segment, "contact_id": doc["id"], "segment_id": segment}
        return {**told, "deleted": True}

    def topics_of(self, who: str) -> list[Body]:
        return self._topics.of(self.find(who))

    def subscribe(self, who: str, payload: Any) -> Body:
        """The list itself, as the SDKs send it, or within `topics`, as the API's description has it."""
        doc = self.find(who)
        said = self._topics.subscriptions(payload["topics"] if isinstance(payload, dict) else payload)
        doc["topics"] = {**doc["topics"], **said}
        self._records.put("contact", doc["id"], doc)
        topics = [{"id": topic, "subscription": subscription} for topic, subscription in said.items()]
        self._webhooks.emit("contact.topics.updated", {"email": doc["email"], "topics": topics})
        return {"object": "contact_topics", "id": doc["id"], "contact_id": doc["id"], "topics": topics}

    def by_email(self, email: str) -> Body | None:
        known = self._records.get("contact_email", email.lower())
        return self._records.get("contact", known["id"]) if known else None

    def find(self, who: str) -> Body:
        doc = self._known(who)
        if doc is None:
            raise errors.not_found("Contact")
        return doc

    def _known(self, who: str) -> Body | None:
        return self.by_email(who) if "@" in who else self._records.get("contact", fields.uuid(who))

    def _new(self, email: str) -> Body:
        names: Body = {"first_name": None, "last_name": None, "unsubscribed": False}
        kept: Body = {"properties": {}, "segments": [], "topics": {}, "created_at": times.stamp(self._site.clock())}
        return {"id": ids.uuid(), "email": email, **names, **kept}

    def _changed(self, doc: Body, body: Body) -> Body:
        new = dict(doc)
        for name in ("first_name", "last_name"):
            if name in body:
                new[name] = fields.text(body, name) or None
        new["unsubscribed"] = fields.flag(body, "unsubscribed", default=doc["unsubscribed"])
        new["properties"] = self._properties.merged(doc["properties"], fields.mapping(body, "properties"))
        return new

    def _keep(self, event: str, doc: Body) -> None:
        self._records.put("contact", doc["id"], doc)
        self._webhooks.emit(event, self._event(doc))

    def _event(self, doc: Body) -> Body:
        told = {name: doc[name] for name in ("id", "email", "first_name", "last_name", "unsubscribed")}
        at = {"created_at": times.iso(times.read(doc["created_at"])), "updated_at": self._site.timestamp()}
        audience = doc["segments"][0] if doc["segments"] else ""
        return {**told, **at, "audience_id": audience, "segment_ids": doc["segments"]}


def _shown(doc: Body) -> Body:
    return {field: doc[field] for field in _SHOWN}


def _segment_ids(body: Body) -> list[str]:
    """Plain ids, or `{"id": …}` as the SDKs send them."""
    return [
        fields.required(fields.as_object(each, "segments"), "id") if isinstance(each, dict) else str(each)
        for each in fields.items(body, "segments")
    ]
