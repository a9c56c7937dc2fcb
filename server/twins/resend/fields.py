"""Reading request bodies the way Resend judges them."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import Any, cast

from server.twins.resend import errors

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


def flag(body: Body, name: str, *, default: bool = False) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise errors.invalid(f"The `{name}` field must be a `boolean`.")
    return value


def mapping(body: Body, name: str) -> Body:
    value = body.get(name)
    if value is None:
        return {}
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
