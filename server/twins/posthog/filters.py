"""The parts of a flag's `filters`: any of them may be absent or null."""

from __future__ import annotations

from typing import Any

Doc = dict[str, Any]


def conditions(filters: Doc) -> list[Doc]:
    """The release conditions, in the order they are tried."""
    return filters.get("groups") or []


def wanted_of(condition: Doc) -> list[Doc]:
    """What a condition wants of properties, or of other flags."""
    return condition.get("properties") or []


def all_wanted(filters: Doc) -> list[Doc]:
    return [wanted for condition in conditions(filters) for wanted in wanted_of(condition)]


def variants(filters: Doc) -> list[Doc]:
    multivariate: Doc = filters.get("multivariate") or {}
    return multivariate.get("variants") or []


def payloads(filters: Doc) -> Doc:
    return filters.get("payloads") or {}
