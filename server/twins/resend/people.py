"""Segments (once audiences) and contacts. A contact is the team's: one per address, in any segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

_SHOWN = ("id", "email", "first_name", "last_name", "created_at", "unsubscribed", "properties")


class Segments:
    """Reached as `/segments` and, under its old name, as `/audiences`: the same ids either way."""

    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def create(self, body: Body, word: str) -> Body:
        doc: dict[str, Any] = {
            "id": ids.uuid(),
            "name": fields.required(body, "name"),
            "filter": fields.mapping(body, "filter") or None,
            "created_at": self._site.timestamp(),
        }
        self._records.put("segment", doc["id"], doc)
        return {"object": word, "id": doc["id"], "name": doc["name"]}

    def list(self) -> list[Body]:
        return [_segment(doc) for doc in self._records.all("segment")]

    def get(self, segment_id: str, word: str) -> Body:
        return {"object": word, **_segment(self.find(segment_id, word))}

    def delete(self, segment_id: str, word: str) -> Body:
        self.find(segment_id, word)
        for contact in self._records.all("contact"):
            if segment_id in contact["segments"]:
                contact["segments"].remove(segment_id)
                self._records.put("contact", contact["id"], contact)
        self._records.delete("segment", segment_id)
        return {"object": word, "id": segment_id, "deleted": True}

    def find(self, segment_id: str, word: str = "segment") -> Body:
        doc = self._records.get("segment", segment_id)
        if doc is None:
            raise errors.not_found(word.capitalize())
        return doc


class Contacts:
    def __init__(self, site: Site, records: Records, segments: Segments) -> None:
        self._site = site
        self._records = records
        self._segments = segments

    def create(self, body: Body, segment_id: str = "", word: str = "segment") -> Body:
        """Add a contact, or the segments and fields given to the one who has this address already."""
        email = self._address(body)
        wanted = [segment_id or fields.text(body, "audience_id"), *_segment_ids(body)]
        joined = [self._segments.find(each, word)["id"] for each in wanted if each]
        known = self._by_email(email)
        doc = known or {
            "id": ids.uuid(),
            "email": email,
            "first_name": None,
            "last_name": None,
            "unsubscribed": False,
            "properties": {},
            "segments": [],
            "created_at": self._site.timestamp(),
        }
        doc = _changed(doc, body)
        doc["segments"] = [*dict.fromkeys([*doc["segments"], *joined])]
        self._records.put("contact", doc["id"], doc)
        self._records.put("contact_email", email.lower(), {"id": doc["id"]})
        return {"object": "contact", "id": doc["id"]}

    def list(self, segment_id: str = "", word: str = "segment") -> list[Body]:
        if segment_id:
            self._segments.find(segment_id, word)
        contacts = self._records.all("contact")
        return [_contact(doc) for doc in contacts if not segment_id or segment_id in doc["segments"]]

    def get(self, who: str) -> Body:
        return {"object": "contact", **_contact(self._find(who))}

    def update(self, who: str, body: Body) -> Body:
        doc = _changed(self._find(who), body)
        self._records.put("contact", doc["id"], doc)
        return {"object": "contact", "id": doc["id"]}

    def delete(self, who: str) -> Body:
        doc = self._find(who)
        self._records.delete("contact", doc["id"])
        self._records.delete("contact_email", doc["email"].lower())
        # Resend answers with whatever the caller named it by, under its own key.
        return {"object": "contact", "contact": who, "id": doc["id"], "deleted": True}

    def segments_of(self, who: str) -> list[Body]:
        return [_segment(self._segments.find(each)) for each in self._find(who)["segments"]]

    def join(self, who: str, segment_id: str) -> Body:
        doc = self._find(who)
        self._segments.find(segment_id)
        doc["segments"] = [*dict.fromkeys([*doc["segments"], segment_id])]
        self._records.put("contact", doc["id"], doc)
        return {"object": "contact_segment", "id": segment_id, "contact_id": doc["id"], "segment_id": segment_id}

    def leave(self, who: str, segment_id: str) -> Body:
        doc = self._find(who)
        self._segments.find(segment_id)
        doc["segments"] = [each for each in doc["segments"] if each != segment_id]
        self._records.put("contact", doc["id"], doc)
        return {
            "object": "contact_segment",
            "id": segment_id,
            "contact_id": doc["id"],
            "segment_id": segment_id,
            "deleted": True,
        }

    def _address(self, body: Body) -> str:
        email = fields.required(body, "email")
        if fields.bare(email) != email:
            raise errors.invalid_address("email")
        return email

    def _by_email(self, email: str) -> Body | None:
        known = self._records.get("contact_email", email.lower())
        return self._records.get("contact", known["id"]) if known else None

    def _find(self, who: str) -> Body:
        doc = self._by_email(who) if "@" in who else self._records.get("contact", who)
        if doc is None:
            raise errors.not_found("Contact")
        return doc


def _segment(doc: Body) -> Body:
    return {"id": doc["id"], "name": doc["name"], "created_at": doc["created_at"]}


def _contact(doc: Body) -> Body:
    return {field: doc[field] for field in _SHOWN}


def _segment_ids(body: Body) -> list[str]:
    """Plain ids, or `{"id": …}` as the SDKs send them."""
    return [each["id"] if isinstance(each, dict) else str(each) for each in fields.items(body, "segments")]


def _changed(doc: Body, body: Body) -> Body:
    new = dict(doc)
    for name in ("first_name", "last_name"):
        if name in body:
            new[name] = fields.text(body, name) or None
    if "unsubscribed" in body:
        new["unsubscribed"] = fields.flag(body, "unsubscribed")
    new["properties"] = {**new["properties"], **fields.mapping(body, "properties")}
    return new
