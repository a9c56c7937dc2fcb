"""Reading a caller's credential."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.secrets import Secret


def bearer(request: Request, *schemes: str) -> str:
    """The token in `Authorization: Bearer` (or one of `schemes`); empty when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in (schemes or ("bearer",)) else ""


def digest(token: str) -> str:
    """What a twin stores of a token it issued, and looks it up by."""
    return sha256(token.encode()).hexdigest()


def same(token: str, secret: Secret) -> bool:
    """Whether they are equal, in a time that says nothing about the secret."""
    return bool(token) and compare_digest(digest(token), digest(secret.reveal()))
