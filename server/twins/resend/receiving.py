"""Mail that comes in, for domains that receive: from our own senders, or put in by `POST /_twin/inbound`."""

from __future__ import annotations

import re
from base64 import b64encode
from email import message_from_bytes
from email.policy import default
from email.utils import formataddr, getaddresses
from typing import TYPE_CHECKING

from server.twins.core import ids
from server.twins.resend import attachments, errors, fields, times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import EmailMessage
    from pathlib import Path

    from server.twins.core import Records, Site
    from server.twins.resend.domains import Domains
    from server.twins.resend.fields import Body
    from server.twins.resend.links import Links
    from server.twins.resend.plan import Quota
    from server.twins.resend.webhooks import Webhooks

_UNLISTED = ("html", "text", "headers")


class Receiving:
    def __init__(
        self, site: Site, records: Records, *, domains: Domains, quota: Quota, links: Links, webhooks: Webhooks
    ) -> None:
        self._site = site
        self._records = records
        self._domains = domains
        self._quota = quota
        self._links = links
        self._webhooks = webhooks
        self.inbox = site.data / "inbox"

    def take_ours(self, recipients: Sequence[str], octets: bytes) -> str | None:
        """Keep the mail, once, for those recipients whose domain receives; its id when there were any."""
        ours = [fields.bare(each) or each for each in recipients if self._receives(fields.domain(each))]
        return self._keep(octets, ours) if ours else None

    def list(self) -> list[Body]:
        return [
            {name: value for name, value in doc.items() if name not in _UNLISTED}
            for doc in self._records.all("received")
        ]

    def get(self, email_id: str, html_format: str) -> Body:
        """Inline images as data, or as the `cid:` the sender wrote."""
        doc = self._records.get("received", fields.uuid(email_id))
        if doc is None:
            raise errors.not_found("Email")
        if html_format not in ("data_uri", "cid"):
            raise errors.invalid("The `html_format` must be `data_uri` or `cid`.")
        html = doc["html"] if html_format == "cid" else self._with_images(doc)
        url, expires_at = self._links.make(f"/downloads/received/{doc['id']}/raw")
        return {"object": "email", **doc, "html": html, "raw": {"download_url": url, "expires_at": expires_at}}

    def file(self, email_id: str) -> Path | None:
        path = self.inbox / f"{email_id}.eml"
        return path if path.exists() else None

    def _receives(self, name: str) -> bool:
        domain = self._domains.named(name)
        return domain is not None and domain["capabilities"]["receiving"] == "enabled"

    def _keep(self, octets: bytes, received_for: list[str]) -> str:
        email_id = ids.uuid()
        (self.inbox / f"{email_id}.eml").write_bytes(octets)
        doc = _read(octets, email_id, received_for, times.iso(self._site.clock()))
        self._records.put("received", email_id, doc)
        self._quota.spend(1, "received")
        told = ("created_at", "from", "to", "bcc", "cc", "subject", "message_id", "received_for")
        hidden = ("size",)
        files = [{name: value for name, value in each.items() if name not in hidden} for each in doc["attachments"]]
        self._webhooks.emit(
            "email.received", {"email_id": email_id, **{name: doc[name] for name in told}, "attachments": files}
        )
        return email_id

    def _with_images(self, doc: Body) -> str | None:
        path = self.file(doc["id"])
        if not doc["html"] or path is None:
            return doc["html"]
        files = {part.content_id: part for part in attachments.parts(path.read_bytes()) if part.content_id}

        def data(place: re.Match[str]) -> str:
            part = files.get(place[1])
            return f"data:{part.content_type};base64,{b64encode(part.content).decode()}" if part else place[0]

        return re.sub(r"cid:([^\"'\s>)]+)", data, doc["html"])


def _read(octets: bytes, email_id: str, received_for: list[str], now: str) -> Body:
    message = message_from_bytes(octets, policy=default)
    return {
        "id": email_id,
        "from": str(message["From"] or ""),
        **{name: _addresses(message, name) for name in ("to", "cc", "bcc")},
        "reply_to": _addresses(message, "reply-to"),
        "received_for": received_for,
        "subject": str(message["Subject"] or ""),
        "message_id": str(message["Message-ID"] or f"<{email_id}@mk0r.localhost>"),
        "created_at": now,
        "html": _body(message, "html"),
        "text": _body(message, "plain"),
        "headers": {name.lower(): str(value) for name, value in message.items()},
        "attachments": [_shown(part) for part in attachments.parts(octets)],
    }


def _addresses(message: EmailMessage, name: str) -> list[str]:
    found = getaddresses([str(value) for value in message.get_all(name, [])])
    return [formataddr((shown, address)) if shown else address for shown, address in found if address]


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content())


def _shown(part: attachments.Part) -> Body:
    return {
        "id": ids.uuid(),
        "filename": part.filename,
        "content_type": part.content_type,
        "content_id": part.content_id,
        "content_disposition": part.content_disposition,
        "size": len(part.content),
    }
