"""Records of the twin's first days, given what they did not have then, so that no session loses its key or its mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.resend import dns, times

if TYPE_CHECKING:
    from server.twins.core import Records
    from server.twins.resend.fields import Body


def upgrade(records: Records) -> None:
    missing: dict[str, Body] = {
        "domain": {"custom_return_path": "send", "tls": "opportunistic", "tracking_subdomain": None},
        "api_key": {"ends_with": ""},
        "contact": {"topics": {}},
        "email": {
            **dict.fromkeys(("template_id", "topic_id", "key_id", "broadcast_id", "contact_id")),
            "events": [],
        },
    }
    for kind, fields in missing.items():
        for doc in records.all(kind):
            if not fields.keys() <= doc.keys():
                records.put(kind, doc["id"], {**fields, **_own(kind), **doc, **_changed(kind, doc)})


def _own(kind: str) -> Body:
    return {"dkim": dns.new_key(), "pending_since": None} if kind == "domain" else {}


def _changed(kind: str, doc: Body) -> Body:
    """What had another form."""
    at = {name: times.stamp(times.read(doc[name])) for name in ("created_at", "last_used_at") if doc.get(name)}
    # Files were kept by name only: they are in the mail, but cannot be told apart any more.
    return {**at, "attachments": []} if kind == "email" else at
