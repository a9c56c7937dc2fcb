"""Sending a broadcast: to whom, in whose name, what each is told, and who did what with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from server.twins.resend import errors, fields, personal, times, topics
from server.twins.resend.message import compose

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.broadcasts import Broadcasts
    from server.twins.resend.contact_properties import ContactProperties
    from server.twins.resend.contacts import Contacts
    from server.twins.resend.fields import Body
    from server.twins.resend.outbox import Outbox
    from server.twins.resend.unsubscribe import Unsubscribe

RECIPIENTS = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed", "suppressed")
BOUNCES = ("permanent", "transient", "undetermined")


class Mailing:
    def __init__(
        self,
        site: Site,
        records: Records,
        *,
        broadcasts: Broadcasts,
        contacts: Contacts,
        properties: ContactProperties,
        outbox: Outbox,
        unsubscribe: Unsubscribe,
    ) -> None:
        self._site = site
        self._records = records
        self._broadcasts = broadcasts
        self._contacts = contacts
        self._properties = properties
        self._outbox = outbox
        self._unsubscribe = unsubscribe

    async def run(self) -> None:
        """Send every broadcast that is due. One cut short goes on with those who have not got it."""
        now = times.stamp(self._site.clock())
        for doc in self._records.all("broadcast"):
            if doc["status"] == "queued" and (doc["scheduled_at"] or "") <= now:
                await self._send(doc)

    async def _send(self, doc: Body) -> None:
        for contact in self._readers(doc):
            email_id = str(uuid5(UUID(doc["id"]), contact["id"]))
            if self._records.get("email", email_id) is None:
                self._send_one(doc, contact, email_id)
            await asyncio.sleep(0)  # let requests in between: one of them may cancel this
            now = self._records.get("broadcast", doc["id"])
            if now is None or now["status"] != "queued":
                return
        self._records.put("broadcast", doc["id"], {**doc, "status": "sent", "sent_at": times.stamp(self._site.clock())})

    def _readers(self, doc: Body) -> list[Body]:
        """The segment's contacts who want it; none where the segment is gone."""
        if self._records.get("segment", doc["segment_id"]) is None:
            return []
        topic = self._records.get("topic", doc["topic_id"] or "")
        return [
            contact
            for contact in self._contacts.within(doc["segment_id"])
            if not contact["unsubscribed"] and (topic is None or topics.subscription(contact, topic) == topics.IN)
        ]

    def _send_one(self, doc: Body, contact: Body, email_id: str) -> None:
        url = self._unsubscribe.url(contact["id"], doc["id"])
        facts = personal.of_contact(contact, self._properties.by_key(), url)
        filled = {
            name: personal.fill(doc[name], facts) if doc[name] else None
            for name in ("subject", "html", "text", "preview_text")
        }
        email: Body = {
            "id": email_id,
            "from": doc["from"],
            "to": [contact["email"]],
            "cc": [],
            "bcc": [],
            "reply_to": doc["reply_to"],
            "subject": filled["subject"],
            "html": _previewed(filled["html"], filled["preview_text"]),
            "text": filled["text"],
            "headers": {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
            "tags": [],
            "attachments": [],
            "scheduled_at": None,
            "template_id": None,
            # The readers were chosen already; a topic here would choose again.
            "topic_id": None,
            "message_id": f"<{email_id}@{fields.domain(doc['from'])}>",
            "created_at": times.stamp(self._site.clock()),
            "key": f"broadcast {doc['name']}",
            "key_id": None,
            "broadcast_id": doc["id"],
            "contact_id": contact["id"],
            "last_event": "queued",
            "events": [],
        }
        self._outbox.put(email, compose(email, ()))

    def recipients(self, broadcast_id: str, kind: str, email: str, bounce_type: str) -> list[Body]:
        """Who a broadcast's mail went to and what came of it, by kind of event."""
        broadcast = self._broadcasts.find(broadcast_id)["id"]
        if kind not in RECIPIENTS:
            raise errors.invalid(f"The `type` must be one of {', '.join(RECIPIENTS)}.")
        if bounce_type and (kind != "bounced" or bounce_type not in BOUNCES):
            raise errors.invalid("The `bounce_type` can only be used when `type` is `bounced`.")
        found = [row for doc in self._emails(broadcast) if (row := self._recipient(broadcast, doc, kind))]
        return [
            row
            for row in found
            if email in ("", row["email"]) and bounce_type in ("", row.get("bounce_type", bounce_type))
        ]

    def clicked_links(self, broadcast_id: str) -> list[Body]:
        """Most clicked first."""
        clicks: dict[str, list[str]] = {}
        for doc in self._emails(self._broadcasts.find(broadcast_id)["id"]):
            for link in _clicked(doc):
                clicks.setdefault(link, []).append(doc["id"])
        rows = [
            {"id": str(uuid5(UUID(int=0), url)), "url": url, "clicks": len(who), "unique_clicks": len(set(who))}
            for url, who in clicks.items()
        ]
        return sorted(rows, key=lambda row: row["clicks"])

    def _emails(self, broadcast_id: str) -> list[Body]:
        return [doc for doc in self._records.all("email") if doc["broadcast_id"] == broadcast_id]

    def _recipient(self, broadcast: str, doc: Body, kind: str) -> Body | None:
        row: Body = {"id": doc["id"], "contact_id": doc["contact_id"], "email": doc["to"][0]}
        if kind == "unsubscribed":
            return row if self._records.get("unsubscribed", f"{broadcast}/{doc['contact_id']}") else None
        count = sum(event["type"] == kind for event in doc["events"])
        if kind in ("opened", "clicked"):
            row["count"] = count
        if kind == "clicked":
            links = _clicked(doc)
            row["clicked_links"] = [{"url": url, "clicks": links.count(url)} for url in dict.fromkeys(links)]
        if kind == "bounced":
            row["bounce_type"] = "permanent"
        return row if count else None


def _clicked(doc: Body) -> list[str]:
    return [event["link"] for event in doc["events"] if event["type"] == "clicked"]


def _previewed(html: str | None, preview: str | None) -> str | None:
    """A mail program shows a mail's first words in its list: these are put there, unseen in the mail itself."""
    if html is None or not preview:
        return html
    return f'<div style="display:none;max-height:0;overflow:hidden">{preview}</div>{html}'
