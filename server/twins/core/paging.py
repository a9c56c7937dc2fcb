"""The two ways vendors page through a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

Doc = dict[str, Any]


@dataclass(frozen=True)
class Page:
    items: list[Doc]
    has_more: bool


def cursor_page(docs: list[Doc], *, limit: int, after: str = "", before: str = "", key: str = "id") -> Page:
    """`limit` documents after (or before) the one a cursor names. Raises `KeyError` for an unknown cursor."""
    position = {doc[key]: index for index, doc in enumerate(docs)}
    if before:
        end = position[before]
        start = max(0, end - limit)
        return Page(docs[start:end], start > 0)
    start = position[after] + 1 if after else 0
    return Page(docs[start : start + limit], start + limit < len(docs))


def numbered_page(docs: list[Doc], *, page: int, per_page: int) -> Page:
    start = (page - 1) * per_page
    return Page(docs[start : start + per_page], start + per_page < len(docs))


def link_header(url: str, *, page: int, per_page: int, total: int) -> str:
    """RFC 8288 links to the first, previous, next and last page; empty when one page holds all."""
    last = max(1, -(-total // per_page))
    targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page <= 1:
        del targets["prev"], targets["first"]
    if page >= last:
        del targets["next"], targets["last"]
    return ", ".join(
        f'<{url}?{urlencode({"per_page": per_page, "page": number})}>; rel="{rel}"' for rel, number in targets.items()
    )
