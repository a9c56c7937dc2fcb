"""Sending domains. One is verified from the start; others stay unverified, as there is no DNS to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

VERIFIED = "mk0r.localhost"
"""The operator's domain in the twin: `RESEND_FROM` is an address of it."""
REGIONS = ("us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1")


class Domains:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records
        if not self.named(VERIFIED):
            self._add(VERIFIED, "us-east-1", "verified")

    def create(self, body: Body) -> Body:
        name = fields.required(body, "name").lower()
        region = fields.text(body, "region", "us-east-1")
        if region not in REGIONS:
            raise errors.invalid_region()
        if self.named(name):
            raise errors.domain_exists()
        return self._add(name, region, "not_started")

    def list(self) -> list[Body]:
        return [{k: v for k, v in doc.items() if k != "records"} for doc in self._records.all("domain")]

    def get(self, domain_id: str) -> Body:
        return {"object": "domain", **self._find(domain_id)}

    def verify(self, domain_id: str) -> Body:
        doc = self._find(domain_id)
        if doc["status"] == "not_started":
            self._records.put("domain", domain_id, {**doc, "status": "pending"})
        return {"object": "domain", "id": domain_id}

    def delete(self, domain_id: str) -> Body:
        self._find(domain_id)
        self._records.delete("domain", domain_id)
        return {"object": "domain", "id": domain_id, "deleted": True}

    def named(self, name: str) -> Body | None:
        return next((doc for doc in self._records.all("domain") if doc["name"] == name), None)

    def _add(self, name: str, region: str, status: str) -> Body:
        doc: dict[str, Any] = {
            "id": ids.uuid(),
            "name": name,
            "status": status,
            "created_at": self._site.timestamp(),
            "region": region,
            "open_tracking": False,
            "click_tracking": False,
            "capabilities": {"sending": "enabled", "receiving": "disabled"},
            "records": _dns_records(region, status),
        }
        self._records.put("domain", doc["id"], doc)
        return doc

    def _find(self, domain_id: str) -> Body:
        doc = self._records.get("domain", domain_id)
        if doc is None:
            raise errors.not_found("Domain")
        return doc


def _dns_records(region: str, status: str) -> list[Body]:
    """What the owner would put into DNS. The key is a placeholder: the twin signs nothing."""
    shared = {"ttl": "Auto", "status": status}
    bounce = f"feedback-smtp.{region}.amazonses.com"
    return [
        {"record": "SPF", "name": "send", "type": "MX", "value": bounce, "priority": 10, **shared},
        {"record": "SPF", "name": "send", "type": "TXT", "value": "v=spf1 include:amazonses.com ~all", **shared},
        {"record": "DKIM", "name": "resend._domainkey", "type": "TXT", "value": "p=" + ids.token("", 64), **shared},
    ]
