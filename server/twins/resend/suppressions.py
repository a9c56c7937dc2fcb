"""Suppressions: addresses that get no more mail, as they bounced, complained or were named (Resend docs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body
    from server.twins.resend.webhooks import Webhooks

LARGEST_BATCH = 100
ORIGINS = ("bounce", "complaint", "manual")


class Suppressions:
    def __init__(self, site: Site, records: Records, webhooks: Webhooks) -> None:
        self._site = site
        self._records = records
        self._webhooks = webhooks

    def create(self, body: Body) -> Body:
        return self.add(fields.required(body, "email"))

    def add(self, email: str, origin: str = "manual", source_id: str | None = None) -> Body:
        """Or the one that is there already."""
        if fields.bare(email) != email:
            raise errors.invalid_address("email")
        if known := self.of(email):
            return {"object": "suppression", "id": known["id"]}
        doc: Body = {
            "id": ids.uuid(),
            "email": email.lower(),
            "origin": origin,
            "source_id": source_id,
            "created_at": times.stamp(self._site.clock()),
        }
        self._records.put("suppression", doc["id"], doc)
        self._webhooks.emit("suppression.added", _event(doc))
        return {"object": "suppression", "id": doc["id"]}

    def add_batch(self, body: Body) -> Body:
        emails = _batch(body, "emails")
        if bad := next((each for each in emails if fields.bare(each) != each), None):
            raise errors.invalid(f"Invalid email in `emails`: {bad}")
        return {"data": [self.add(each) for each in emails]}

    def remove_batch(self, body: Body) -> Body:
        """By address or by id, not both; what is not there is passed over."""
        if ("emails" in body) == ("ids" in body):
            raise errors.invalid("Provide either `emails` or `ids`.")
        named = _batch(body, "emails" if "emails" in body else "ids")
        found = [doc for doc in map(self._known, named) if doc]
        return {"data": [self.remove(doc["id"]) for doc in found]}

    def list(self, origin: str | None) -> list[Body]:
        if origin is not None and origin not in ORIGINS:
            raise errors.invalid(f"The `origin` must be one of {', '.join(ORIGINS)}.")
        return [doc for doc in self._records.all("suppression") if origin in (None, doc["origin"])]

    def get(self, which: str) -> Body:
        return {"object": "suppression", **self._find(which)}

    def remove(self, which: str) -> Body:
        doc = self._find(which)
        self._records.delete("suppression", doc["id"])
        self._webhooks.emit("suppression.removed", _event(doc))
        return {"object": "suppression", "id": doc["id"], "deleted": True}

    def of(self, email: str) -> Body | None:
        wanted = email.lower()
        return next((doc for doc in self._records.all("suppression") if doc["email"] == wanted), None)

    def _known(self, which: str) -> Body | None:
        return self.of(which) if "@" in which else self._records.get("suppression", fields.uuid(which))

    def _find(self, which: str) -> Body:
        doc = self._known(which)
        if doc is None:
            raise errors.not_found("Suppression")
        return doc


def _batch(body: Body, name: str) -> list[str]:
    found: list[Any] = fields.items(body, name)
    if not 1 <= len(found) <= LARGEST_BATCH or not all(isinstance(each, str) for each in found):
        raise errors.invalid(f"The `{name}` field must have between 1 and {LARGEST_BATCH} texts.")
    return found


def _event(doc: Body) -> Body:
    return {**doc, "created_at": times.iso(times.read(doc["created_at"]))}
