"""How much the team has used of its plan (Resend docs, "Retrieve usage")."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.core import Records
    from server.twins.resend.fields import Body
    from server.twins.resend.limits import Limits
    from server.twins.resend.plan import Quota


def usage(records: Records, quota: Quota, meter: Limits) -> Body:
    """Automations and AI credits, which the twin does not have, are told as unused."""
    plan, emails = quota.plan, quota.emails()
    sent = [doc for doc in records.all("broadcast") if doc["status"] == "sent"]
    return {
        "object": "usage",
        "emails": emails,
        "contacts": {"used": len(records.all("contact")), "limit": plan.contacts},
        "segments": {"used": len(records.all("segment")), "limit": plan.segments},
        "broadcasts": {"used": len(sent), "limit": None},
        "ai_credits": {"used": 0, "limit": None, "next_increase_at": None},
        "automation_runs": {"used": 0, "limit": 0, "resets_at": emails["monthly"]["resets_at"]},
        "domains": {"used": len(records.all("domain")), "limit": plan.domains},
        "rate_limit": {"limit": meter.look("team").limit, "duration": "1000ms"},
    }
