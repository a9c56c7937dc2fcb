"""Who may send as whom: verified domains, keys limited to one of them, and `resend.dev`, which is everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.resend import errors, fields
from server.twins.resend.domains import VERIFIED
from server.twins.resend.lifecycle import SIMULATED

if TYPE_CHECKING:
    from server.twins.resend.domains import Domains
    from server.twins.resend.fields import Body
    from server.twins.resend.keys import Key

OWNER = f"owner@{VERIFIED}"
"""Whom the team's account belongs to: the one address that mail from `resend.dev` may reach."""


class Senders:
    def __init__(self, domains: Domains) -> None:
        self._domains = domains

    def judge(self, email: Body, key: Key) -> None:
        """Raises what Resend answers to a sender that is not the team's, or not this key's."""
        name = fields.domain(email["from"])
        if name == SIMULATED:
            self._judge_borrowed(email)
            return
        domain = self._domains.named(name)
        if domain is None or domain["status"] not in ("verified", "partially_verified"):
            raise errors.unverified_domain(name)
        if key.domain_id and key.domain_id != domain["id"]:
            raise errors.key_of_another_domain(name)
        if domain["capabilities"]["sending"] != "enabled":
            raise errors.forbidden(f"Sending is disabled for the {name} domain.")

    def _judge_borrowed(self, email: Body) -> None:
        for each in (*email["to"], *email["cc"], *email["bcc"]):
            address = (fields.bare(each) or "").lower()
            if address != OWNER and not address.endswith(f"@{SIMULATED}"):
                raise errors.only_to_yourself(OWNER)
