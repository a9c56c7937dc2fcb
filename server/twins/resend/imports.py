"""Contacts from a CSV file (Resend docs, "Create contact import"): queued, worked off by a chore, counted."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from server.twins.core import WireError, ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.core import Records, Site
    from server.twins.resend.contacts import Contacts
    from server.twins.resend.fields import Body
    from server.twins.resend.segments import Segments
    from server.twins.resend.topics import Topics

STATUSES = ("queued", "in_progress", "completed", "failed")
_COLUMNS = ("email", "first_name", "last_name", "unsubscribed")


class Imports:
    def __init__(self, site: Site, records: Records, contacts: Contacts, segments: Segments, topics: Topics) -> None:
        self._site = site
        self._records = records
        self._contacts = contacts
        self._segments = segments
        self._topics = topics

    def create(self, form: Mapping[str, Any], octets: bytes) -> Body:
        try:
            rows = [*csv.DictReader(io.StringIO(octets.decode("utf-8-sig")))]
        except (UnicodeDecodeError, csv.Error):
            raise errors.invalid("The `file` field must be a CSV file in UTF-8.") from None
        columns = {**dict(zip(_COLUMNS, _COLUMNS, strict=True)), **_json(form, "column_map", {})}
        if rows and columns["email"] not in rows[0]:
            raise errors.invalid("CSV missing required email column")
        segments = [self._segments.find(fields.required(each, "id"))["id"] for each in _json(form, "segments", [])]
        topics = _json(form, "topics", [])
        self._topics.subscriptions(topics)
        doc: Body = {
            "id": ids.uuid(),
            "status": "queued",
            "created_at": times.stamp(self._site.clock()),
            "completed_at": None,
            "counts": {"total": len(rows), "created": 0, "updated": 0, "skipped": 0, "failed": 0},
            "rows": [_contact(row, columns) for row in rows],
            "upsert": fields.choice(dict(form), "on_conflict", ("upsert", "skip"), "skip") == "upsert",
            "segments": segments,
            "topics": topics,
        }
        self._records.put("import", doc["id"], doc)
        return {"object": "contact_import", "id": doc["id"]}

    def list(self, status: str | None) -> list[Body]:
        if status is not None and status not in STATUSES:
            raise errors.invalid(f"The `status` must be one of {', '.join(STATUSES)}.")
        return [_shown(doc) for doc in self._records.all("import") if status in (None, doc["status"])]

    def get(self, import_id: str) -> Body:
        doc = self._records.get("import", fields.uuid(import_id))
        if doc is None:
            raise errors.not_found("Contact import")
        return _shown(doc)

    async def run(self) -> None:
        for doc in self._records.all("import"):
            if doc["status"] == "queued":
                counts = Counter(self._take(row, doc) for row in doc["rows"])
                done: Body = {"status": "completed", "completed_at": times.stamp(self._site.clock()), "rows": []}
                told = {**doc["counts"], **counts}
                self._records.put("import", doc["id"], {**doc, **done, "counts": told})

    def _take(self, row: Body, doc: Body) -> str:
        """What became of one row."""
        known = bool(row["email"]) and self._contacts.by_email(row["email"]) is not None
        if known and not doc["upsert"]:
            return "skipped"
        try:
            self._contacts.create({**row, "segments": doc["segments"], "topics": doc["topics"]})
        except WireError:
            return "failed"
        return "updated" if known else "created"


def _contact(row: Mapping[str, str], columns: Body) -> Body:
    found: Body = {name: row.get(columns[name]) or None for name in ("email", "first_name", "last_name")}
    unsubscribed = (row.get(columns["unsubscribed"]) or "").strip().lower()
    mapped = fields.mapping(columns, "properties")
    values = {key: _value(row.get(each["column"]) or "", each.get("type", "string")) for key, each in mapped.items()}
    return {**found, "unsubscribed": unsubscribed in ("true", "1", "yes"), "properties": values}


def _value(text: str, kind: str) -> str | float | None:
    if kind != "number":
        return text or None
    try:
        return float(text)
    except ValueError:
        return None


def _json(form: Mapping[str, Any], name: str, default: Any) -> Any:
    """A field of the form that holds JSON of the default's kind."""
    if not form.get(name):
        return default
    try:
        found = json.loads(form[name])
    except (TypeError, ValueError):
        raise errors.invalid(f"The `{name}` field must be valid JSON.") from None
    if not isinstance(found, type(default)):
        raise errors.invalid(f"The `{name}` field must be an `{'array' if default == [] else 'object'}`.")
    return _given(cast("Body", found)) if isinstance(found, dict) else found


def _given(found: Body) -> Body:
    """Without what an SDK sent as null."""
    return {key: value for key, value in found.items() if value is not None}


def _shown(doc: Body) -> Body:
    shown = ("id", "status", "created_at", "completed_at", "counts")
    return {"object": "contact_import", **{name: doc[name] for name in shown}}
