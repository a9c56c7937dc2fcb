"""Sending domains: not started, pending, verified.

There is no DNS to ask, so a check succeeds for names that only this machine knows (`*.localhost`, `*.test`), fails
after three days for any other, and `PUT /_twin/domains/{name}` says what DNS would have.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import dns, errors, fields, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body
    from server.twins.resend.webhooks import Webhooks

VERIFIED = "mk0r.localhost"
"""The operator's domain in the twin: `RESEND_FROM` is an address of it."""
REGIONS = ("us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1")
STATUSES = ("not_started", "pending", "verified", "failed", "partially_verified", "partially_failed")
GIVEN_UP_AFTER = timedelta(hours=72)
_OURS = (".localhost", ".test")
_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_KEPT = ("records", "dkim", "custom_return_path", "tls", "pending_since")
"""What a list does not tell."""


class Domains:
    def __init__(self, site: Site, records: Records, webhooks: Webhooks) -> None:
        self._site = site
        self._records = records
        self._webhooks = webhooks

    def seed(self) -> None:
        if not self.named(VERIFIED):
            self._put(self._new({"name": VERIFIED}, "verified"))

    def create(self, body: Body) -> Body:
        name = fields.required(body, "name").lower()
        if not _NAME.fullmatch(name):
            raise errors.invalid("The `name` field must be a valid domain.")
        if fields.text(body, "region", "us-east-1") not in REGIONS:
            raise errors.invalid_region()
        if self.named(name):
            raise errors.domain_exists()
        doc = self._put(self._new({**body, "name": name}, "not_started"))
        self._webhooks.emit("domain.created", _event(doc))
        return {name: value for name, value in _shown(doc).items() if name != "object"}

    def list(self) -> list[Body]:
        return [{k: v for k, v in _shown(doc).items() if k not in ("object", *_KEPT)} for doc in self._docs()]

    def get(self, domain_id: str) -> Body:
        return _shown(self._find(domain_id))

    def update(self, domain_id: str, body: Body) -> Body:
        doc = self._find(domain_id)
        self._put({**doc, **_settings(body, doc)})
        self._webhooks.emit("domain.updated", _event(doc))
        return {"object": "domain", "id": doc["id"]}

    def verify(self, domain_id: str) -> Body:
        """Asks for a check; what it finds shows later, as at Resend."""
        doc = self._find(domain_id)
        if doc["status"] != "verified":
            self._put({**doc, "status": "pending", "pending_since": times.stamp(self._site.clock())})
        return {"object": "domain", "id": doc["id"]}

    def delete(self, domain_id: str) -> Body:
        doc = self._find(domain_id)
        self._records.delete("domain", doc["id"])
        self._webhooks.emit("domain.deleted", _event(doc))
        return {"object": "domain", "id": doc["id"], "deleted": True}

    def named(self, name: str) -> Body | None:
        return next((doc for doc in self._docs() if doc["name"] == name), None)

    def tell(self, name: str, status: str) -> None:
        """What DNS is to have said of a domain. Raises `KeyError` for one that is not there."""
        doc = self.named(name)
        if doc is None:
            raise KeyError(name)
        self._put({**doc, "status": status})
        self._webhooks.emit("domain.updated", _event({**doc, "status": status}))

    async def check(self) -> None:
        """One look at every pending domain's DNS."""
        for doc in self._docs():
            if doc["status"] == "pending":
                if doc["name"].endswith(_OURS):
                    self.tell(doc["name"], "verified")
                elif times.read(doc["pending_since"]) + GIVEN_UP_AFTER < self._site.clock():
                    self.tell(doc["name"], "failed")

    def _new(self, body: Body, status: str) -> Body:
        at_first: dict[str, Any] = {
            "open_tracking": False,
            "click_tracking": False,
            "tls": "opportunistic",
            "tracking_subdomain": None,
            "capabilities": {"sending": "enabled", "receiving": "disabled"},
        }
        return {
            "id": ids.uuid(),
            "name": body["name"],
            "status": status,
            "created_at": times.stamp(self._site.clock()),
            "region": fields.text(body, "region", "us-east-1"),
            "custom_return_path": _label(body, "custom_return_path", "send"),
            "dkim": dns.new_key(),
            "pending_since": None,
            **at_first,
            **_settings(body, at_first),
        }

    def _put(self, doc: Body) -> Body:
        self._records.put("domain", doc["id"], doc)
        return doc

    def _docs(self) -> list[Body]:
        return self._records.all("domain")

    def _find(self, domain_id: str) -> Body:
        doc = self._records.get("domain", fields.uuid(domain_id))
        if doc is None:
            raise errors.not_found("Domain")
        return doc


def _settings(body: Body, now: Body) -> Body:
    """What may be changed, where the body gives it."""
    given = fields.mapping(body, "capabilities")
    capabilities = {
        what: fields.choice(given, what, ("enabled", "disabled"), now["capabilities"][what])
        for what in ("sending", "receiving")
    }
    if "enabled" not in capabilities.values():
        raise errors.invalid("At least one capability must be enabled.")
    return {
        "open_tracking": fields.flag(body, "open_tracking", default=now["open_tracking"]),
        "click_tracking": fields.flag(body, "click_tracking", default=now["click_tracking"]),
        "tls": fields.choice(body, "tls", ("opportunistic", "enforced"), now["tls"]),
        "tracking_subdomain": _label(body, "tracking_subdomain", now["tracking_subdomain"] or "") or None,
        "capabilities": capabilities,
    }


def _label(body: Body, name: str, default: str) -> str:
    value = fields.text(body, name, default).lower()
    if value and not _LABEL.fullmatch(value):
        raise errors.invalid(f"The `{name}` field must be a valid subdomain.")
    return value


def _shown(doc: Body) -> Body:
    hidden = ("tls", "dkim", "custom_return_path", "pending_since")
    told = {name: value for name, value in doc.items() if name not in hidden}
    if told["tracking_subdomain"] is None:
        del told["tracking_subdomain"]
    return {"object": "domain", **told, "records": dns.records(doc)}


def _event(doc: Body) -> Body:
    told = {name: doc[name] for name in ("id", "name", "status", "region")}
    return {**told, "created_at": times.iso(times.read(doc["created_at"])), "records": dns.records(doc)}
