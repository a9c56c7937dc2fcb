"""Random identifiers in the shapes vendors use."""

from __future__ import annotations

import hmac
import secrets
import string
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from server.secrets import Secret

_BASE62 = string.ascii_letters + string.digits
_LOWER = string.ascii_lowercase + string.digits


def token(prefix: str, length: int) -> str:
    """A bearer token: `prefix` and `length` characters of base 62."""
    return prefix + _pick(_BASE62, length)


def derived(secret: Secret, purpose: str, length: int) -> str:
    """At most 80 characters of base 62 that only a holder of the secret can tell, the same every time."""
    number = int.from_bytes(hmac.digest(secret.reveal().encode(), purpose.encode(), "sha512"))
    found = ""
    while len(found) < length:
        number, digit = divmod(number, len(_BASE62))
        found += _BASE62[digit]
    return found


def lower(length: int) -> str:
    """Lower-case letters and digits, fit for a host name or a database name."""
    return secrets.choice(string.ascii_lowercase) + _pick(_LOWER, length - 1)


def uuid() -> str:
    return str(uuid4())


def number(below: int = 2**31) -> int:
    """A positive integer id."""
    return 1 + secrets.randbelow(below - 1)


def _pick(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
