"""What a domain's owner would put into DNS (Resend docs, "Managing domains").

The shapes are Resend's. The DKIM key is a placeholder, as the twin signs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core import ids

if TYPE_CHECKING:
    from server.twins.resend.fields import Body


def new_key() -> str:
    return "p=" + ids.token("", 216)


def records(domain: Body) -> list[Body]:
    """Sending, receiving and tracking records, each where the domain uses it, all in the domain's own state."""
    region, below = domain["region"], _below(domain["name"])
    found: list[Body] = []
    if domain["capabilities"]["sending"] == "enabled":
        path = domain["custom_return_path"] + below
        bounce = f"feedback-smtp.{region}.amazonses.com"
        found += [
            _record("SPF", path, "MX", bounce, priority=10),
            _record("SPF", path, "TXT", '"v=spf1 include:amazonses.com ~all"'),
            _record("DKIM", "resend._domainkey" + below, "TXT", domain["dkim"]),
        ]
    if domain["capabilities"]["receiving"] == "enabled":
        found.append(
            _record("Receiving", below.lstrip(".") or "@", "MX", f"inbound-smtp.{region}.amazonaws.com", priority=10)
        )
    if domain["tracking_subdomain"]:
        found.append(_record("Tracking", domain["tracking_subdomain"] + below, "CNAME", "links1.resend-dns.com"))
    return [{**each, "status": _status(domain["status"])} for each in found]


def _record(record: str, name: str, kind: str, value: str, priority: int | None = None) -> Body:
    told = {"record": record, "name": name, "type": kind, "ttl": "Auto", "value": value}
    return told if priority is None else {**told, "priority": priority}


def _status(status: str) -> str:
    """A record is never in part what a domain can be in part."""
    return {"partially_verified": "pending", "partially_failed": "failed"}.get(status, status)


def _below(name: str) -> str:
    """Names are told from the registered domain on: `send.mail` for `mail.example.org`."""
    labels = name.split(".")[:-2]
    return "." + ".".join(labels) if labels else ""
