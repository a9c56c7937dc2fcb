"""What a flag's conditions, variants and payloads may be, with PostHog's own words for what they may not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from server.twins.posthog import errors
from server.twins.posthog.filters import all_wanted, conditions, payloads, variants
from server.twins.posthog.matching import DATE_OPERATORS, OPERATORS, date_of

if TYPE_CHECKING:
    from datetime import datetime

    from server.twins.core import WireError
    from server.twins.posthog.flags import Flags

Doc = dict[str, Any]

MOST_VALUES = 1000
_TEXT_VALUES = ("regex", "icontains", "not_regex", "not_icontains", "gt", "gte", "lt", "lte")


class FlagFilters:
    """Reads the filters of the flag called `key`. Raises a 400 for the first thing that is wrong."""

    def __init__(self, flags: Flags, now: datetime, key: str) -> None:
        self._flags = flags
        self._now = now
        self._key = key

    def read(self, filters: Doc) -> Doc:
        self._conditions(filters)
        _check_variants(filters)
        _check_payloads(filters)
        return filters

    def _conditions(self, filters: Doc) -> None:
        groups: Any = filters["groups"]
        if not isinstance(groups, list) or not all(isinstance(each, dict) for each in cast("list[Any]", groups)):
            raise _wrong("Filters are not valid")
        index = filters.get("aggregation_group_type_index")
        for each in all_wanted(filters):
            allowed = ("person", "cohort", "flag") if index is None else ("group",)
            if each.get("type", "person") not in allowed:
                what = "group properties" if index is not None else "person, cohort, and flag properties"
                raise _wrong(f"Filters are not valid (can only use {what})")
            if index is not None and each.get("group_type_index") != index:
                raise _wrong("Filters are not valid (can only use group properties)")
            self._property(each)

    def _property(self, wanted: Doc) -> None:
        name, value = wanted.get("operator") or "exact", wanted.get("value")
        if wanted.get("type") == "cohort":
            raise errors.invalid(f"Cohort with id {value} does not exist", "filters", "cohort_does_not_exist")
        if wanted.get("type") == "flag":
            if name != "flag_evaluates_to":
                raise _wrong("Flag properties must use the 'flag_evaluates_to' operator")
            self._no_cycle(self._depended_on(wanted), [self._key])
        elif name not in OPERATORS:
            raise _wrong(f"{name} is not a valid operator.")
        elif name in DATE_OPERATORS and date_of(value, self._now) is None:
            raise errors.invalid(f"Invalid date value: {value}", "filters", "invalid_date")
        elif name in _TEXT_VALUES and not isinstance(value, str):
            raise errors.invalid(f"Invalid value for operator {name}: {value}", "filters", "invalid_value")
        elif isinstance(value, list) and len(cast("list[Any]", value)) > MOST_VALUES:
            expression = wanted.get("key")
            raise _wrong(
                f"Property group expressions of type {expression} cannot contain more than {MOST_VALUES} values."
            )

    def _depended_on(self, wanted: Doc) -> Doc:
        reference = str(wanted.get("key"))
        if not reference.isdecimal():
            raise _wrong(
                f"Flag dependencies must reference flag IDs (integers), not flag keys. Invalid reference: '{reference}'"
            )
        flag = self._flags.get(int(reference))
        if flag is None or flag["deleted"]:
            raise _wrong(f"Flag dependency references non-existent flag with ID {reference}")
        return flag

    def _no_cycle(self, flag: Doc, path: list[str]) -> None:
        if flag["key"] == path[0] and len(path) == 1:
            raise _wrong(f"Feature flag '{path[0]}' cannot depend on itself")
        if flag["key"] in path:
            raise _wrong(f"Circular dependency detected: {' → '.join([*path, flag['key']])}")
        for each in all_wanted(flag["filters"]):
            if each.get("type") == "flag":
                self._no_cycle(self._depended_on(each), [*path, flag["key"]])


def _check_variants(filters: Doc) -> None:
    known = variants(filters)
    if known and sum(float(variant.get("rollout_percentage") or 0) for variant in known) != 100:  # noqa: PLR2004 - percent
        raise _wrong("Invalid variant definitions: Variant rollout percentages must sum to 100.")
    keys = {variant.get("key") for variant in known}
    for condition in conditions(filters):
        if condition.get("variant") and condition["variant"] not in keys:
            raise _wrong("Filters are not valid (variant override does not exist)")


def _check_payloads(filters: Doc) -> None:
    told = payloads(filters)
    if not isinstance(told, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - a client wrote it
        raise _wrong("Payloads must be passed as a dictionary")
    for value in told.values():
        try:
            json.loads(value) if isinstance(value, str) else None
        except ValueError:
            raise _wrong("Payload value is not valid JSON") from None
    if filters.get("multivariate"):
        if {*told} - {variant.get("key") for variant in variants(filters)}:
            raise _wrong("Payload keys must match a variant key for multivariate flags")
    elif {*told} - {"true"}:
        raise _wrong("Payload keys must be 'true' for boolean flags")


def _wrong(detail: str) -> WireError:
    return errors.invalid(detail, "filters")
