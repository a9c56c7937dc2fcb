"""The contacts relay: a sending-only key may not add contacts, so an app posts them here.

One token opens one session's segment and nothing else. (Resend, "API keys": `sending_access`.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel

from server.errors import BadInput, UserError
from server.legs.deadline import within
from server.secrets import Secret

if TYPE_CHECKING:
    from server.books.sessions import Sessions
    from server.books.store import Vault
    from server.legs.vendor import Vendor

TOKEN = "MK0R_CONTACTS_TOKEN"  # noqa: S105 - a name
SECONDS = 15.0
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s]{2,63}")


class _Added(BaseModel):
    id: str = ""


class Contacts:
    """Adds contacts to a session's own segment with the operator's key."""

    def __init__(self, sessions: Sessions, vault: Vault, resend: Vendor) -> None:
        self._sessions = sessions
        self._vault = vault
        self._resend = resend

    async def add(self, slug: str, token: str, email: str, first_name: str = "", last_name: str = "") -> str:
        """The contact's id. Raises `UserError` for a token that is not this session's, `LegError` for Resend."""
        if self._vault.get(slug, legs=["mail"]).get(TOKEN) != Secret(token):
            raise UserError("This token opens no audience.", next_action="Read it from the app's environment.")
        if not _EMAIL.fullmatch(email):
            raise BadInput("That is not an e-mail address.", next_action="Send `email` as name@host.")
        segment = self._sessions.by_slug(slug).leg("mail").reference["segment_id"]
        contact = {"email": email, "first_name": first_name, "last_name": last_name, "segments": [segment]}
        async with within(SECONDS):
            answer = await self._resend.call("POST", "/contacts", contact)
        return self._resend.read(_Added, answer.body).id
