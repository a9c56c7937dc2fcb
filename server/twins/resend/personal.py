"""Filling in `{{{NAME|fallback}}}`: variables of a template, facts of a contact (Resend docs, "Personalization")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from server.twins.resend import errors, fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server.twins.resend.fields import Body

RESERVED = ("FIRST_NAME", "LAST_NAME", "EMAIL", "UNSUBSCRIBE_URL", "RESEND_UNSUBSCRIBE_URL", "contact", "this")
LONGEST_TEXT, LARGEST_NUMBER = 2_000, 2**53 - 1
_KEY = re.compile(r"[A-Za-z0-9_]{1,50}")
_PLACE = re.compile(r"\{\{\{\s*([A-Za-z0-9_.]+)\s*(?:\|([^{}]*))?\}\}\}")


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Every place takes its value, else its own fallback, else nothing."""

    def value(place: re.Match[str]) -> str:
        found = values.get(place[1])
        return (place[2] or "").strip() if found in (None, "") else str(found)

    return _PLACE.sub(value, text)


def variable(given: Body, types: Sequence[str]) -> Body:
    """A template's variable, when it may be one."""
    key = fields.required(given, "key")
    if not _KEY.fullmatch(key):
        raise errors.invalid(f"The variable key `{key}` may only hold letters, numbers and underscores, at most 50.")
    if key in RESERVED:
        raise errors.invalid(f"The variable key `{key}` is reserved.")
    return {"key": key, "type": fields.choice(given, "type", types), "fallback_value": given.get("fallback_value")}


def values(variables: Sequence[Body], given: Body) -> Body:
    """What each of a template's variables is in one mail. Raises Resend's error for what is missing or will not do."""
    found: Body = {}
    for each in variables:
        value = given.get(each["key"], each["fallback_value"])
        if value is None:
            raise errors.invalid(f"Missing required template variable: {each['key']}.")
        wanted = {"string": str, "number": (int, float), "boolean": bool, "object": dict, "list": list}[each["type"]]
        too_long = isinstance(value, str) and len(value) > LONGEST_TEXT
        too_large = isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER
        if not isinstance(value, wanted) or too_long or too_large:
            raise errors.invalid(f"The template variable `{each['key']}` must be a valid `{each['type']}`.")
        found[each["key"]] = value
    return {**given, **found}


def of_contact(contact: Body, properties: Mapping[str, Body], unsubscribe_url: str) -> dict[str, Any]:
    """What a broadcast may say of the one it goes to, under the old names and the new (`contact.first_name`)."""
    facts = {name: contact[name] for name in ("first_name", "last_name", "email")}
    known = {key: contact["properties"].get(key, doc["fallback_value"]) for key, doc in properties.items()}
    named = {**known, **{f"contact.{key}": value for key, value in {**known, **facts}.items()}}
    upper = {key.upper(): value for key, value in {**known, **facts}.items()}
    return {**upper, **named, "UNSUBSCRIBE_URL": unsubscribe_url, "RESEND_UNSUBSCRIBE_URL": unsubscribe_url}
