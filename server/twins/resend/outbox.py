"""Mail on its way: kept until it is due, then put into the mailbox as a file.

A mail is composed when it is accepted, so what is sent later is what was asked for then. What waits lies in
`outbox/`, what left in `mailbox/`: both survive the twin.
"""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

from server.twins.resend import fields, times, topics

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.core import Records, Site
    from server.twins.resend.contacts import Contacts
    from server.twins.resend.fields import Body
    from server.twins.resend.lifecycle import Lifecycle
    from server.twins.resend.receiving import Receiving


class Outbox:
    def __init__(
        self, site: Site, records: Records, lifecycle: Lifecycle, contacts: Contacts, receiving: Receiving
    ) -> None:
        self._site = site
        self._records = records
        self._lifecycle = lifecycle
        self._contacts = contacts
        self._receiving = receiving
        self.waiting = site.data / "outbox"
        self.mailbox = site.data / "mailbox"

    def put(self, email: Body, composed: bytes) -> None:
        """Deliver it, or keep it until its time."""
        self._waiting(email["id"]).write_bytes(composed)
        self._records.put("email", email["id"], email)
        if email["scheduled_at"]:
            self._lifecycle.add(email["id"], "scheduled")
        else:
            self.deliver(email["id"])

    def withdraw(self, email_id: str) -> None:
        self._waiting(email_id).unlink(missing_ok=True)

    def file(self, email_id: str) -> Path | None:
        """The mail as a file, where it is now; None for one that never left."""
        return next((path for path in (self._sent(email_id), self._waiting(email_id)) if path.exists()), None)

    async def run(self) -> None:
        """Deliver what is due, in the order of its time; also what the twin's death kept from leaving."""
        now = times.stamp(self._site.clock())
        waiting = [self._records.get("email", path.stem) for path in self.waiting.glob("*.eml")]
        due = [doc for doc in waiting if doc and (doc["scheduled_at"] or "") <= now]
        for doc in sorted(due, key=lambda doc: doc["scheduled_at"] or ""):
            self.deliver(doc["id"])

    def deliver(self, email_id: str) -> None:
        """Each recipient's fate is told by its own event; the mailbox gets the mail unless nobody does."""
        email = self._records.get("email", email_id)
        if email is None:
            return
        everybody = [*email["to"], *email["cc"], *email["bcc"]]
        wanted = [address for address in everybody if self._subscribed(email, address)]
        fates = self._lifecycle.outcomes(wanted)
        fates["suppressed"] += [address for address in everybody if address not in wanted]
        reached = [*fates["delivered"], *fates["complained"]]
        composed = self._waiting(email_id).read_bytes()
        if reached or fates["bounced"]:
            dated = f"Date: {format_datetime(self._site.clock())}\r\n".encode() + composed
            self._sent(email_id).write_bytes(dated)
            self._lifecycle.add(email_id, "sent")
            self._receiving.take_ours(reached, dated)
        self._waiting(email_id).unlink(missing_ok=True)
        for event, to in (("delivered", reached), *((each, fates[each]) for each in ("complained", "bounced"))):
            if to:
                self._lifecycle.add(email_id, event, to)
        if fates["suppressed"]:
            self._lifecycle.add(email_id, "suppressed", fates["suppressed"])

    def _subscribed(self, email: Body, address: str) -> bool:
        """Whether the mail's topic, if it has one, may reach this address."""
        topic = self._records.get("topic", email["topic_id"] or "")
        if topic is None:
            return True
        contact = self._contacts.by_email(fields.bare(address) or address)
        return topics.subscription(contact, topic) == topics.IN

    def _sent(self, email_id: str) -> Path:
        return self.mailbox / f"{email_id}.eml"

    def _waiting(self, email_id: str) -> Path:
        return self.waiting / f"{email_id}.eml"
