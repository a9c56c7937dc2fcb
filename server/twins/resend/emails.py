"""Emails: sending one or a hundred, and what may be done with them after (Resend docs, "Emails")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import WireError, ids
from server.twins.resend import attachments, errors, fields, schedule, times
from server.twins.resend.message import compose

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.attachments import Attachment, Fetch
    from server.twins.resend.fields import Body
    from server.twins.resend.keys import Key
    from server.twins.resend.lifecycle import Lifecycle
    from server.twins.resend.outbox import Outbox
    from server.twins.resend.plan import Quota
    from server.twins.resend.senders import Senders
    from server.twins.resend.submission import Submission

LARGEST_BATCH = 100
_LISTED = (
    *("id", "message_id", "to", "from", "created_at", "subject"),
    *("bcc", "cc", "reply_to", "last_event", "scheduled_at", "topic_id"),
)
_SHOWN = (*_LISTED, "html", "text", "tags")


class Emails:
    def __init__(
        self,
        site: Site,
        records: Records,
        *,
        submission: Submission,
        senders: Senders,
        quota: Quota,
        outbox: Outbox,
        lifecycle: Lifecycle,
        fetch: Fetch,
    ) -> None:
        self._site = site
        self._records = records
        self._submission = submission
        self._senders = senders
        self._quota = quota
        self._outbox = outbox
        self._lifecycle = lifecycle
        self._fetch = fetch

    async def send(self, body: Body, key: Key) -> Body:
        email = self._judge(body, key)
        files = await attachments.gather(fields.items(body, "attachments"), self._fetch)
        composed = compose(email, files)
        self._quota.spend(_mails(email))
        return self._accept(email, files, composed)

    async def send_batch(self, bodies: list[Any], key: Key, *, permissive: bool) -> Body:
        """Strict: all or none. Permissive: the good ones go, the bad ones are reported by index.

        Attachments are passed over, as Resend's batch passes over them.
        """
        if not bodies:
            raise errors.invalid("The batch must have at least one email.")
        if len(bodies) > LARGEST_BATCH:
            raise errors.invalid(f"The batch must have at most {LARGEST_BATCH} emails.")
        good: list[tuple[Body, bytes]] = []
        bad: list[Body] = []
        for index, body in enumerate(bodies):
            try:
                email = self._judge(fields.as_object(body, "emails"), key)
                good.append((email, compose(email, ())))
            except WireError as error:
                if not permissive:
                    raise
                bad.append({"index": index, "message": error.body["message"]})
        self._quota.spend(sum(_mails(email) for email, _ in good))
        data = [self._accept(email, (), composed) for email, composed in good]
        return {"data": data, "errors": bad} if permissive else {"data": data}

    def list(self) -> list[Body]:
        """Without those of broadcasts."""
        docs = [doc for doc in self._records.all("email") if not doc["broadcast_id"]]
        return [{name: doc[name] for name in _LISTED} for doc in docs]

    def get(self, email_id: str) -> Body:
        doc = self.find(email_id)
        return {"object": "email", **{name: doc[name] for name in _SHOWN}}

    def reschedule(self, email_id: str, body: Body) -> Body:
        doc = self._scheduled(email_id, "updated")
        at = schedule.when(fields.required(body, "scheduled_at"), self._site.clock())
        self._records.put("email", doc["id"], {**doc, "scheduled_at": times.stamp(at)})
        return {"object": "email", "id": doc["id"]}

    def cancel(self, email_id: str) -> Body:
        doc = self._scheduled(email_id, "canceled")
        self._lifecycle.add(doc["id"], "canceled")
        self._outbox.withdraw(doc["id"])
        return {"object": "email", "id": doc["id"]}

    def find(self, email_id: str) -> Body:
        doc = self._records.get("email", fields.uuid(email_id))
        if doc is None:
            raise errors.not_found("Email")
        return doc

    def _scheduled(self, email_id: str, done: str) -> Body:
        doc = self.find(email_id)
        if doc["last_event"] != "scheduled":
            raise errors.invalid(f"Only a scheduled email can be {done}; this one is `{doc['last_event']}`.")
        return doc

    def _judge(self, body: Body, key: Key) -> Body:
        """The mail as we keep it, when this key may send it."""
        email = self._submission.read(body)
        self._senders.judge(email, key)
        email_id = ids.uuid()
        return {
            **email,
            "id": email_id,
            "message_id": f"<{email_id}@{fields.domain(email['from'])}>",
            "created_at": times.stamp(self._site.clock()),
            "key": key.name,
            "key_id": key.id,
            "broadcast_id": None,
            "contact_id": None,
            "last_event": "queued",
            "events": [],
        }

    def _accept(self, email: Body, files: list[Attachment] | tuple[()], composed: bytes) -> Body:
        self._outbox.put({**email, "attachments": [each.shown for each in files]}, composed)
        return {"id": email["id"]}


def _mails(email: Body) -> int:
    return len(email["to"]) + len(email["cc"]) + len(email["bcc"])
