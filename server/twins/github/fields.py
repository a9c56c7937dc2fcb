"""Reading request bodies the way GitHub judges them."""

from __future__ import annotations

from typing import Any, cast

from server.twins.github import errors

FLAGS = {
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "has_discussions": False,
    "is_template": False,
    "delete_branch_on_merge": False,
    "allow_squash_merge": True,
    "allow_merge_commit": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
}
"""A repository's switches and how they stand when nobody says."""


def text(body: dict[str, Any], name: str, *, needed: bool = False) -> Any:
    """A text, or None when it is not there and need not be."""
    value = body.get(name)
    if value is None and needed:
        raise errors.not_supplied(name)
    if value is not None and not isinstance(value, str):
        raise errors.wrong_type(name, value, "a string")
    return value


def many(body: dict[str, Any], name: str, *, needed: bool = False) -> list[Any]:
    """A list; empty when it is not there and need not be."""
    value = body.get(name)
    if value is None and needed:
        raise errors.not_supplied(name)
    if value is not None and not isinstance(value, list):
        raise errors.wrong_type(name, value, "an array")
    return cast("list[Any]", value or [])


def flag(body: dict[str, Any], name: str, *, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise errors.wrong_type(name, value, "a boolean")
    return value
