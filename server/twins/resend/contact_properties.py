"""Contact properties: what may be known of a contact beside its name (Resend docs, "Contact properties")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

TYPES = ("string", "number")
_KEY = re.compile(r"[A-Za-z0-9_]{1,50}")


class ContactProperties:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def create(self, body: Body) -> Body:
        key = fields.required(body, "key")
        if not _KEY.fullmatch(key):
            raise errors.invalid(
                "The `key` field must be at most 50 characters and contain only letters, numbers and underscores."
            )
        if key in self.by_key():
            raise errors.invalid(f"A contact property with the key `{key}` already exists.")
        kind = fields.choice(body, "type", TYPES)
        doc: dict[str, Any] = {
            "id": ids.uuid(),
            "key": key,
            "type": kind,
            "fallback_value": value_of(kind, body.get("fallback_value"), "fallback_value"),
            "created_at": times.stamp(self._site.clock()),
        }
        self._records.put("contact_property", doc["id"], doc)
        return {"object": "contact_property", "id": doc["id"]}

    def list(self) -> list[Body]:
        return self._records.all("contact_property")

    def get(self, property_id: str) -> Body:
        return {"object": "contact_property", **self._find(property_id)}

    def update(self, property_id: str, body: Body) -> Body:
        """Only what a contact without a value gets; the key and the type stay."""
        doc = self._find(property_id)
        if "fallback_value" in body:
            doc["fallback_value"] = value_of(doc["type"], body["fallback_value"], "fallback_value")
        self._records.put("contact_property", doc["id"], doc)
        return {"object": "contact_property", "id": doc["id"]}

    def delete(self, property_id: str) -> Body:
        """Every contact's value goes with it."""
        doc = self._find(property_id)
        self._records.delete("contact_property", doc["id"])
        for contact in self._records.all("contact"):
            if contact["properties"].pop(doc["key"], None) is not None:
                self._records.put("contact", contact["id"], contact)
        return {"object": "contact_property", "id": doc["id"], "deleted": True}

    def by_key(self) -> dict[str, Body]:
        return {doc["key"]: doc for doc in self.list()}

    def merged(self, values: Body, given: Body) -> Body:
        """A contact's values with those given; null takes one away. A key never seen becomes a property."""
        merged, known = dict(values), self.by_key()
        for key, value in given.items():
            if value is None:
                merged.pop(key, None)
                continue
            if key not in known:
                self.create({"key": key, "type": "string" if isinstance(value, str) else "number"})
            kind = known[key]["type"] if key in known else "string" if isinstance(value, str) else "number"
            merged[key] = value_of(kind, value, key)
        return merged

    def shown(self, values: Body) -> Body:
        known = self.by_key()
        return {key: {"type": known[key]["type"], "value": value} for key, value in values.items() if key in known}

    def _find(self, property_id: str) -> Body:
        doc = self._records.get("contact_property", fields.uuid(property_id))
        if doc is None:
            raise errors.not_found("Contact property")
        return doc


def value_of(kind: str, value: Any, name: str) -> str | float | None:
    """`value`, when it is of the property's type."""
    wanted = str if kind == "string" else (int, float)
    if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
        raise errors.invalid(f"The `{name}` field must be a `{kind}`.")
    return value
