"""What a feature flag may be given, with PostHog's own words for what it may not (`api/feature_flag.py`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from server.twins.posthog import errors
from server.twins.posthog.flag_filters import FlagFilters

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from server.twins.posthog.flags import Flags

Doc = dict[str, Any]

LONGEST_KEY = 400
_KEY = re.compile(r"[a-zA-Z0-9_-]+")

NEW: Doc = {
    "name": "",
    "filters": {"groups": [{"properties": [], "rollout_percentage": None}], "payloads": {}, "multivariate": None},
    "active": True,
    "ensure_experience_continuity": False,
    "is_remote_configuration": False,
    "has_encrypted_payloads": False,
    "evaluation_runtime": "all",
    "bucketing_identifier": "distinct_id",
    "tags": [],
    "evaluation_tags": [],
}


class FlagFields:
    """Reads the body of a create or of a change to `flag`. Raises a 400 for the first thing that is wrong."""

    def __init__(self, flags: Flags, now: datetime, flag: Doc | None = None) -> None:
        self._flags = flags
        self._now = now
        self._flag = flag

    def read(self, body: Doc) -> Doc:
        fields: Doc = {} if self._flag else {**NEW}
        if self._flag is None and "key" not in body:
            raise errors.invalid("This field is required.", "key", "required")
        if "key" in body:
            fields["key"] = self._key(body["key"])
        fields |= {name: check(name, body[name]) for name, check in _CHECKS.items() if name in body}
        if body.get("filters") is not None:
            self._filters(fields, body["filters"])
        if fields.get("has_encrypted_payloads"):
            raise errors.invalid(
                "Encrypted payloads are not supported by this local PostHog.", "has_encrypted_payloads"
            )
        return fields

    def _key(self, key: Any) -> str:
        if not isinstance(key, str) or not key:
            raise errors.invalid("This field may not be blank.", "key", "blank")
        other = self._flags.named(key)
        if other and (self._flag is None or other["id"] != self._flag["id"]):
            raise errors.invalid("There is already a feature flag with this key.", "key", "unique")
        if not _KEY.fullmatch(key):
            detail = "Only letters, numbers, hyphens (-) & underscores (_) are allowed."
            raise errors.invalid(detail, "key", "invalid_key")
        if len(key) > LONGEST_KEY:
            detail = f"Ensure this field has no more than {LONGEST_KEY} characters."
            raise errors.invalid(detail, "key", "max_length")
        return key

    def _filters(self, fields: Doc, filters: Any) -> None:
        if not isinstance(filters, dict):
            raise errors.invalid("Expected a dictionary of items.", "filters", "not_a_dict")
        told = cast("Doc", filters)
        if "groups" in told:
            key = fields.get("key") or (self._flag or {}).get("key", "")
            fields["filters"] = FlagFilters(self._flags, self._now, key).read(told)
        elif self._flag is None:
            fields["filters"] = {**NEW["filters"], **told}


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise errors.invalid("Must be a valid boolean.", name, "invalid")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise errors.invalid("Not a valid string.", name, "invalid")
    return value


def _names(name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise errors.invalid('Expected a list of items but got type "str".', name, "not_a_list")
    return sorted({str(each).strip().lower() for each in cast("list[Any]", value)})


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise errors.invalid(f'"{value}" is not a valid choice.', name, "invalid_choice")
        return value

    return check


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "active": _boolean,
    "deleted": _boolean,
    "ensure_experience_continuity": _boolean,
    "is_remote_configuration": _boolean,
    "has_encrypted_payloads": _boolean,
    "name": _text,
    "tags": _names,
    "evaluation_tags": _names,
    "evaluation_runtime": _choice("all", "client", "server"),
    "bucketing_identifier": _choice("distinct_id", "device_id"),
}
