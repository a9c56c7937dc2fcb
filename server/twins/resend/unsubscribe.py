"""The unsubscribe link of a broadcast: a page with one button, and the one click mail programs make (RFC 8058)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.core import Records, Site
    from server.twins.resend.contacts import Contacts
    from server.twins.resend.links import Links

_PAGE = """<!doctype html><meta charset="utf-8"><title>Unsubscribe</title>
<body style="font-family: sans-serif; margin: 4rem auto; max-width: 24rem">{}</body>"""
_ASK = "<p>No more emails?</p><form method='post'><button>Unsubscribe</button></form>"
_DONE = "<p>You are unsubscribed.</p>"


class Unsubscribe:
    """A link says which contact, and of which topic if the broadcast had one. It never expires, as mail does not."""

    def __init__(self, site: Site, records: Records, links: Links, contacts: Contacts) -> None:
        self._site = site
        self._records = records
        self._links = links
        self._contacts = contacts

    def url(self, contact_id: str, broadcast_id: str) -> str:
        path = f"/unsubscribe/{broadcast_id}/{contact_id}"
        return f"{self._site.base_url}{path}?signature={self._links.sign(path)}"

    def routes(self) -> list[Route]:
        return [Route("/unsubscribe/{broadcast}/{contact}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        """Only a POST unsubscribes: mail programs open links before their readers do."""
        if not self._links.signed(request.url.path, request.query_params.get("signature", "")):
            return HTMLResponse(_PAGE.format("<p>This link is not valid.</p>"), 403)
        if request.method == "GET":
            return HTMLResponse(_PAGE.format(_ASK))
        self._leave(request.path_params["contact"], request.path_params["broadcast"])
        return HTMLResponse(_PAGE.format(_DONE))

    def _leave(self, contact_id: str, broadcast_id: str) -> None:
        broadcast = self._records.get("broadcast", broadcast_id)
        if self._records.get("contact", contact_id) is None:
            return
        if broadcast and broadcast["topic_id"] and self._records.get("topic", broadcast["topic_id"]):
            self._contacts.subscribe(contact_id, [{"id": broadcast["topic_id"], "subscription": "opt_out"}])
        else:
            self._contacts.update(contact_id, {"unsubscribed": True})
        left = {"broadcast": broadcast_id, "contact": contact_id}
        self._records.put("unsubscribed", f"{broadcast_id}/{contact_id}", left)
