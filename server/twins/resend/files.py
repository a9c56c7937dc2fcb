"""Attachments of mail sent and received, listed and downloaded; a mail shared by a link."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from server.twins.resend import attachments, errors, fields

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from server.twins.core import Records
    from server.twins.resend.fields import Body
    from server.twins.resend.links import Links
    from server.twins.resend.outbox import Outbox
    from server.twins.resend.receiving import Receiving

SENT, RECEIVED = "email", "received"
"""Kinds of record, and the first part of a download's path."""
LONGEST_SHARE = timedelta(hours=48)
_DURATION = re.compile(r"(\d{1,6})\s*(m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Files:
    def __init__(self, records: Records, links: Links, outbox: Outbox, receiving: Receiving) -> None:
        self._records = records
        self._links = links
        self._outbox = outbox
        self._receiving = receiving

    def list(self, kind: str, email_id: str) -> list[Body]:
        email = self._email(kind, email_id)
        return [self._linked(kind, email["id"], each) for each in email["attachments"]]

    def get(self, kind: str, email_id: str, attachment_id: str) -> Body:
        wanted = fields.uuid(attachment_id, "attachment_id")
        found = next((each for each in self.list(kind, email_id) if each["id"] == wanted), None)
        if found is None:
            raise errors.not_found("Attachment")
        return {"object": "attachment", **found}

    def share(self, email_id: str, body: Body) -> Body:
        """Of a mail sent or received; for two days at most."""
        kind = SENT if self._records.get(SENT, fields.uuid(email_id)) else RECEIVED
        email = self._email(kind, email_id)
        url, _ = self._links.make(f"/shared/{kind}/{email['id']}", _lifetime(fields.text(body, "expires_in", "48h")))
        return {"object": "email", "id": email["id"], "url": url}

    def routes(self) -> list[Route]:
        """Opened by whoever has the link: no API key goes with it."""
        return [
            Route("/downloads/{kind}/{id}/{attachment}", self._download, methods=["GET"]),
            Route("/shared/{kind}/{id}", self._shared, methods=["GET"]),
        ]

    def octets(self, kind: str, email: Body, attachment_id: str) -> bytes:
        """Raises `KeyError` where the mail, or this file of it, is gone."""
        path, listed = self._path(kind, email["id"]), email["attachments"]
        if kind == SENT:  # the mail has what its HTML shows beside the HTML, before the rest
            listed = sorted(listed, key=lambda each: each["content_disposition"] != "inline")
        order = [each["id"] for each in listed]
        if path is None or attachment_id not in order:
            raise KeyError(attachment_id)
        return attachments.parts(path.read_bytes())[order.index(attachment_id)].content

    async def _download(self, request: Request) -> Response:
        self._links.check(request.url.path, request.query_params)
        kind, wanted = request.path_params["kind"], request.path_params["attachment"]
        email = self._email(kind, request.path_params["id"])
        path = self._path(kind, email["id"])
        if wanted == "raw" and path is not None:
            return Response(path.read_bytes(), media_type="message/rfc822")
        try:
            octets = self.octets(kind, email, wanted)
        except KeyError:
            raise errors.not_found("Attachment") from None
        # As octets, whatever it says it is: a browser must not run an attached page at our address.
        return Response(octets, media_type="application/octet-stream", headers={"content-disposition": "attachment"})

    async def _shared(self, request: Request) -> Response:
        self._links.check(request.url.path, request.query_params)
        email = self._email(request.path_params["kind"], request.path_params["id"])
        return HTMLResponse(email["html"] or f"<pre>{_escaped(email['text'] or '')}</pre>", headers=_INERT)

    def _linked(self, kind: str, email_id: str, attachment: Body) -> Body:
        url, expires_at = self._links.make(f"/downloads/{kind}/{email_id}/{attachment['id']}")
        told = {name: value for name, value in attachment.items() if value is not None}
        return {**told, "download_url": url, "expires_at": expires_at}

    def _path(self, kind: str, email_id: str) -> Path | None:
        return self._outbox.file(email_id) if kind == SENT else self._receiving.file(email_id)

    def _email(self, kind: str, email_id: str) -> Body:
        doc = self._records.get(kind, fields.uuid(email_id, "email_id")) if kind in (SENT, RECEIVED) else None
        if doc is None:
            raise errors.not_found("Email")
        return doc


_INERT = {"content-security-policy": "sandbox; default-src 'none'; img-src data: https:; style-src 'unsafe-inline'"}
"""A shared mail is somebody's HTML: it runs nothing."""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _lifetime(text: str) -> timedelta:
    match = _DURATION.fullmatch(text.strip().lower())
    found = timedelta(**{_UNITS[match[2][0]]: int(match[1])}) if match else None
    if not found or found > LONGEST_SHARE:
        raise errors.invalid("The `expires_in` field must be a duration like `10m` or `2 hours`, of at most 48 hours.")
    return found
