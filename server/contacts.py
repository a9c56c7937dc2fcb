"""The contacts relay: a sending-only key may not add contacts, so an app posts them here.

One token opens one session's segment and nothing else, and adds so many a minute. (Resend, "API keys":
`sending_access`.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel

from server.errors import BadInput, LegError, UserError
from server.legs import refusals
from server.legs.deadline import within
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.books.books import Books
    from server.legs.turns import Turns
    from server.legs.vendor import Vendor

TOKEN = "MK0R_CONTACTS_TOKEN"  # noqa: S105 - a name
SECONDS = 15.0
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s]{2,63}")


class _Added(BaseModel):
    id: str = ""


class Contacts:
    """Adds contacts to a session's own segment with the operator's key. `turns`: those of one app, by its slug."""

    def __init__(self, books: Books, resend: Vendor, turns: Callable[[str], Turns]) -> None:
        self._sessions = books.sessions
        self._vault = books.vault
        self._resend = resend
        self._turns = turns

    async def add(self, slug: str, token: str, email: str, first_name: str = "", last_name: str = "") -> str:
        """The contact's id. Raises `UserError` for a token that is not this session's, `LegError` for Resend."""
        if self._vault.get(slug, legs=["mail"]).get(TOKEN) != Secret(token):
            raise UserError("This token opens no audience.", next_action="Read it from the app's environment.")
        if not _EMAIL.fullmatch(email):
            raise BadInput("That is not an e-mail address.", next_action="Send `email` as name@host.")
        self._sessions.note_use(slug)
        segment = self._sessions.by_slug(slug).leg("mail").reference["segment_id"]
        contact = {"email": email, "first_name": first_name, "last_name": last_name, "segments": [segment]}
        try:
            async with within(SECONDS):
                await self._turns(slug).take()
                answer = await self._resend.call("POST", "/contacts", contact)
        except TimeoutError:
            raise _to_an_app(refusals.no_answer(self._resend.name, timed_out=True)) from None
        except LegError as error:
            raise _to_an_app(error) from None
        return self._resend.read(_Added, answer.body).id


def _to_an_app(error: LegError) -> LegError:
    """The same with what an app can do about it."""
    told = error.next_action if not error.retryable else ""
    return LegError(
        error.message,
        code=error.code,
        next_action=told or "Keep the contact in the app's own database, and send it again in a minute.",
        retryable=error.retryable,
    )
