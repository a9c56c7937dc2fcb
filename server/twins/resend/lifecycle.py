"""What becomes of a mail: each event is kept, is its `last_event`, and is told to webhooks (Resend, "Event types")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.resend import fields, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body
    from server.twins.resend.suppressions import Suppressions
    from server.twins.resend.webhooks import Webhooks

SIMULATED = "resend.dev"
"""`bounced@resend.dev` bounces, `complained+anything@resend.dev` complains (Resend docs, "Send test emails")."""
SIMULATIONS = {"bounced": "bounced", "complained": "complained", "suppressed": "suppressed"}
TOLD = ("delivery_delayed", "delivered", "opened", "clicked", "complained", "bounced", "failed")
"""What `/_twin/emails/{id}/events` may say has happened to a mail that left."""

_BOUNCE: Body = {
    "message": "The recipient's mail server said that it does not know the address.",
    "type": "Permanent",
    "subType": "General",
    "diagnosticCode": ["smtp; 550 5.1.1 user unknown"],
}
_SUPPRESSED: Body = {
    "message": "Resend does not send to this address, as an earlier email to it bounced or was complained about.",
    "type": "OnAccountSuppressionList",
    "reason": "previous_bounce",
    "diagnosticCode": [],
}


class Lifecycle:
    def __init__(self, site: Site, records: Records, webhooks: Webhooks, suppressions: Suppressions) -> None:
        self._site = site
        self._records = records
        self._webhooks = webhooks
        self._suppressions = suppressions

    def add(self, email_id: str, event: str, to: Sequence[str] | None = None, **detail: Any) -> None:
        """`to` are the recipients it happened to; all of them unless given."""
        found = self._records.get("email", email_id)
        if found is None:
            raise KeyError(email_id)
        concerned = list(to or found["to"])
        happened = {"type": event, "at": times.stamp(self._site.clock()), "to": concerned, **detail}
        doc: Body = {**found, "last_event": event, "events": [*found["events"], happened]}
        self._records.put("email", email_id, doc)
        if event not in ("queued", "canceled"):
            self._webhooks.emit(f"email.{event}", {**_data(doc, concerned), **_detail(event, detail)})
        if event in ("bounced", "complained"):
            self._suppress(concerned, "bounce" if event == "bounced" else "complaint", email_id)

    def outcomes(self, recipients: Sequence[str]) -> dict[str, list[str]]:
        """What will happen to a mail, by recipient."""
        found: dict[str, list[str]] = {"delivered": [], "complained": [], "bounced": [], "suppressed": []}
        for address in recipients:
            found[self._outcome(fields.bare(address) or address)].append(address)
        return found

    def _outcome(self, address: str) -> str:
        local, _, domain = address.lower().rpartition("@")
        if domain == SIMULATED:
            return SIMULATIONS.get(local.partition("+")[0], "delivered")
        return "suppressed" if self._suppressions.of(address) else "delivered"

    def _suppress(self, addresses: Sequence[str], origin: str, email_id: str) -> None:
        for each in addresses:
            address = fields.bare(each) or each
            # The simulating addresses must do the same again next time.
            if not address.endswith(f"@{SIMULATED}"):
                self._suppressions.add(address, origin, email_id)


def _data(doc: Body, to: Sequence[str]) -> Body:
    told: Body = {
        "email_id": doc["id"],
        "message_id": doc["message_id"],
        "created_at": times.iso(times.read(doc["created_at"])),
        "from": doc["from"],
        "to": list(to),
        "subject": doc["subject"],
    }
    for name in ("broadcast_id", "template_id"):
        if doc[name]:
            told[name] = doc[name]
    if doc["tags"]:
        told["tags"] = {tag["name"]: tag["value"] for tag in doc["tags"]}
    if doc["headers"]:
        told["headers"] = [{"name": name, "value": str(value)} for name, value in doc["headers"].items()]
    return told


def _detail(event: str, detail: Body) -> Body:
    match event:
        case "bounced":
            return {"bounce": _BOUNCE}
        case "suppressed":
            return {"suppressed": _SUPPRESSED}
        case "failed":
            return {"failed": {"reason": detail.get("reason", "unknown")}}
        case "clicked":
            return {"click": {name: detail[name] for name in ("ipAddress", "link", "timestamp", "userAgent")}}
        case _:
            return {}
