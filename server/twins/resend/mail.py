"""Sending: who may send as whom, once per idempotency key, into a real mailbox."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from server.twins.core import WireError, ids
from server.twins.resend import errors, fields
from server.twins.resend.message import compose

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server.twins.core import Records, Site
    from server.twins.resend.domains import Domains
    from server.twins.resend.fields import Body
    from server.twins.resend.keys import Key

IDEMPOTENT_FOR = timedelta(hours=24)
LONGEST_IDEMPOTENCY_KEY = 256
LARGEST_BATCH = 100
_HIDDEN = ("key", "attachments")


class Mail:
    def __init__(self, site: Site, records: Records, domains: Domains) -> None:
        self._site = site
        self._records = records
        self._domains = domains
        self._mailbox = site.data / "mailbox"
        self._mailbox.mkdir(exist_ok=True, mode=0o700)

    def send(self, body: Body, key: Key) -> Body:
        return {"id": self._accept(self._judge(body, key), key)}

    def send_batch(self, bodies: list[Any], key: Key, *, permissive: bool) -> Body:
        """Strict: all or none. Permissive: the good ones go, the bad ones are reported by index."""
        if not bodies:
            raise errors.invalid("The batch must have at least one email.")
        if len(bodies) > LARGEST_BATCH:
            raise errors.invalid(f"The batch must have at most {LARGEST_BATCH} emails.")
        good: list[Body] = []
        bad: list[Body] = []
        for index, body in enumerate(bodies):
            try:
                good.append(self._judge(body, key))
            except WireError as error:
                if not permissive:
                    raise
                bad.append({"index": index, "message": error.body["message"]})
        data = [{"id": self._accept(email, key)} for email in good]
        return {"data": data, "errors": bad} if permissive else {"data": data}

    def once(self, idempotency_key: str | None, payload: Any, send: Callable[[], Body]) -> Body:
        """`send()`, or what it answered before under this key. Keys are the team's and live for a day."""
        if idempotency_key is None:
            return send()
        if not 1 <= len(idempotency_key) <= LONGEST_IDEMPOTENCY_KEY:
            raise errors.invalid_idempotency_key()
        fingerprint = sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        earlier = self._records.get("idempotency", idempotency_key)
        now = self._site.clock()
        if earlier and datetime.fromisoformat(earlier["at"]) + IDEMPOTENT_FOR > now:
            if earlier["fingerprint"] != fingerprint:
                raise errors.idempotency_key_reused()
            return earlier["answer"]
        answer = send()
        doc = {"fingerprint": fingerprint, "answer": answer, "at": now.isoformat()}
        self._records.put("idempotency", idempotency_key, doc)
        return answer

    def list(self) -> list[Body]:
        return [_shown(doc) for doc in self._records.all("email")]

    def get(self, email_id: str) -> Body:
        doc = self._records.get("email", email_id)
        if doc is None:
            raise errors.not_found("Email")
        return {"object": "email", **_shown(doc)}

    def mailbox(self) -> list[Body]:
        """Every mail with its file and the key that sent it, oldest first. For `/_twin/mailbox`."""
        return [{**doc, "file": str(self._file(doc["id"]))} for doc in self._records.all("email")]

    def _file(self, email_id: str) -> Path:
        return self._mailbox / f"{email_id}.eml"

    def _judge(self, body: Any, key: Key) -> Body:
        """The mail as we keep it, when this key may send it."""
        if not isinstance(body, dict):
            raise errors.invalid("The email must be an `object`.")
        email = _email(body)  # pyright: ignore[reportUnknownArgumentType] - JSON, read field by field
        if fields.bare(email["from"]) is None:
            raise errors.invalid_from()
        name = _domain(email["from"])
        domain = self._domains.named(name)
        if domain is None or domain["status"] != "verified":
            raise errors.unverified_domain(name)
        if key.domain_id and key.domain_id != domain["id"]:
            raise errors.key_of_another_domain(name)
        return email

    def _accept(self, email: Body, key: Key) -> str:
        doc: Body = {**email, "id": ids.uuid(), "created_at": self._site.timestamp(), "key": key.name}
        doc["message_id"] = f"<{doc['id']}@{_domain(email['from'])}>"
        doc["last_event"] = "scheduled" if doc["scheduled_at"] else "delivered"
        self._file(doc["id"]).write_bytes(compose(doc, self._site.clock()))
        doc["attachments"] = [each["filename"] for each in doc["attachments"]]
        self._records.put("email", doc["id"], doc)
        return doc["id"]


def _email(body: Body) -> Body:
    for name in ("from", "to", "subject"):
        if not body.get(name):
            raise errors.missing_field(name)
    if not (body.get("html") or body.get("text") or body.get("template")):
        raise errors.invalid("Missing `html` or `text` field.")
    return {
        "from": fields.text(body, "from"),
        "to": fields.addresses(body, "to"),
        "cc": fields.addresses(body, "cc"),
        "bcc": fields.addresses(body, "bcc"),
        "reply_to": fields.addresses(body, "reply_to"),
        "subject": fields.text(body, "subject"),
        "html": fields.text(body, "html") or None,
        "text": fields.text(body, "text") or None,
        "headers": fields.mapping(body, "headers"),
        "tags": fields.items(body, "tags"),
        "attachments": [_attachment(each) for each in fields.items(body, "attachments")],
        "scheduled_at": fields.text(body, "scheduled_at") or None,
    }


def _attachment(each: Any) -> Body:
    """Its content must come along: the twin fetches nothing from the network."""
    if not isinstance(each, dict):
        raise errors.invalid_attachment("The attachment must be an `object`.")
    found: Body = each  # pyright: ignore[reportUnknownVariableType] - JSON
    content = found.get("content")
    if content is None or not found.get("filename"):
        raise errors.invalid_attachment("Attachment must have a `filename` and `content`.")
    return {"filename": str(found["filename"]), "content": content, "content_type": found.get("content_type")}


def _domain(address: str) -> str:
    return (fields.bare(address) or "").rpartition("@")[2].lower()


def _shown(doc: Body) -> Body:
    return {name: value for name, value in doc.items() if name not in _HIDDEN}
