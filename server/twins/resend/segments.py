"""Segments, once audiences: reached as `/segments` and as `/audiences`, the same ids either way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body


class Segments:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def create(self, body: Body, word: str) -> Body:
        doc: dict[str, Any] = {
            "id": ids.uuid(),
            "name": fields.required(body, "name"),
            "filter": fields.mapping(body, "filter") or None,
            "created_at": times.stamp(self._site.clock()),
        }
        self._records.put("segment", doc["id"], doc)
        return {"object": word, "id": doc["id"], "name": doc["name"]}

    def list(self) -> list[Body]:
        return [shown(doc) for doc in self._records.all("segment")]

    def get(self, segment_id: str, word: str) -> Body:
        return {"object": word, **shown(self.find(segment_id, word))}

    def update(self, segment_id: str, body: Body) -> Body:
        doc = self.find(segment_id)
        self._records.put("segment", doc["id"], {**doc, "name": fields.required(body, "name")})
        return {"object": "segment", "id": doc["id"]}

    def delete(self, segment_id: str, word: str) -> Body:
        """One that is not there is deleted just the same (recorded in the npm SDK's integration tests)."""
        segment_id = fields.uuid(segment_id)
        for contact in self._records.all("contact"):
            if segment_id in contact["segments"]:
                contact["segments"].remove(segment_id)
                self._records.put("contact", contact["id"], contact)
        self._records.delete("segment", segment_id)
        return {"object": word, "id": segment_id, "deleted": True}

    def find(self, segment_id: str, word: str = "segment") -> Body:
        doc = self._records.get("segment", fields.uuid(segment_id))
        if doc is None:
            raise errors.not_found(word.capitalize())
        return doc


def shown(doc: Body) -> Body:
    return {"id": doc["id"], "name": doc["name"], "created_at": doc["created_at"]}
