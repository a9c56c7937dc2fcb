"""Reading request bodies the way Resend judges them."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from server.twins.resend import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

Body = dict[str, Any]

MAX_RECIPIENTS = 50
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+|[^@\s<>,;\"]+@localhost")


def required(body: Body, name: str) -> str:
    """A text that must be there."""
    if body.get(name) in (None, ""):
        raise errors.missing_field(name)
    return text(body, name)


def text(body: Body, name: str, default: str = "") -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise errors.invalid(f"The `{name}` field must be a `string`.")
    return value


def choice(body: Body, name: str, allowed: Sequence[str], default: str | None = None) -> str:
    """One of the allowed words; without a default it must be given."""
    value = required(body, name) if default is None else text(body, name, default)
    if value not in allowed:
        raise errors.invalid(f"The `{name}` field must be one of {', '.join(f'`{each}`' for each in allowed)}.")
    return value


def flag(body: Body, name: str, *, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise errors.invalid(f"The `{name}` field must be a `boolean`.")
    return value


def mapping(body: Body, name: str) -> Body:
    value = body.get(name)
    if value is None:
        return {}
    return as_object(value, name)


def as_object(value: Any, name: str) -> Body:
    if not isinstance(value, dict):
        raise errors.invalid(f"The `{name}` field must be an `object`.")
    return cast("Body", value)


def items(body: Body, name: str) -> list[Any]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise errors.invalid(f"The `{name}` field must be an `array`.")
    return cast("list[Any]", value)


def addresses(body: Body, name: str) -> list[str]:
    """One address or a list of at most 50, each `a@b.c` or `Name <a@b.c>`."""
    value = body.get(name)
    found: list[Any] = [] if value is None else cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(found) > MAX_RECIPIENTS:
        raise errors.invalid(f"The `{name}` field must have at most {MAX_RECIPIENTS} recipients.")
    for each in found:
        if not isinstance(each, str):
            raise errors.invalid(f"The `{name}` field must be a `string`.")
        if bare(each) is None:
            raise errors.invalid_address(name)
    return cast("list[str]", found)


def bare(address: str) -> str | None:
    """The address without its display name, or None when it is not one."""
    found = parseaddr(address)[1]
    return found if _ADDRESS.fullmatch(found) else None


def domain(address: str) -> str:
    return (bare(address) or "").rpartition("@")[2].lower()


def uuid(value: str, name: str = "id") -> str:
    """An id from a path or a body. Resend tells one that cannot be from one that is not."""
    try:
        return str(UUID(value))
    except ValueError:
        raise errors.not_a_uuid(name) from None
