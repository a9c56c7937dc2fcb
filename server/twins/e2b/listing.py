"""Lists of the control API: what is looked for, in which order, and one page of it."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote

from server.twins.e2b.errors import wire
from server.twins.e2b.guard import PAGE, number
from server.twins.e2b.templates import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from server.twins.e2b.record import Record

Item = TypeVar("Item")
STATES = ("running", "paused")


def page(request: Request, found: list[Item], key: Callable[[Item], str]) -> tuple[list[Item], dict[str, str]]:
    """The part that `limit` and `nextToken` ask for, and the header that leads to the next. A token names the last
    item seen, so what was made or removed meanwhile shifts nothing."""
    limit = number(request, "limit", PAGE, least=1, most=PAGE)
    after = _read(request.query_params.get("nextToken", ""))
    start = 0
    if after:
        start = next((index + 1 for index, item in enumerate(found) if key(item) == after), len(found))
    part = found[start : start + limit]
    if start + limit < len(found):
        return part, {"x-next-token": base64.urlsafe_b64encode(key(part[-1]).encode()).decode()}
    return part, {}


def _read(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise wire(400, "Invalid next token") from None


def matching(query: QueryParams, records: list[Record], *, running_only: bool = False) -> list[Record]:
    """The sandboxes a list asks for, newest first unless it says otherwise. Raises 400."""
    states = [state for given in query.getlist("state") for state in given.split(",") if state] or [*STATES]
    if unknown := [state for state in states if state not in STATES]:
        raise wire(400, f"Invalid state: {unknown[0]}")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise wire(400, f"Invalid order: {order}")
    wanted, since = _metadata(query.get("metadata", "")), _time(query.get("startedAfter", ""))
    template = parsed(query["template"])[0] if query.get("template") else ""
    found = [
        record
        for record in records
        if record.state in (("running",) if running_only else states)
        and wanted.items() <= record.metadata.items()
        and (since is None or datetime.fromisoformat(record.started) >= since)
        and template in ("", record.template, record.alias)
    ]
    return sorted(found, key=lambda record: (record.started, record.id), reverse=order == "desc")


def _metadata(query: str) -> dict[str, str]:
    """`user=abc&app=prod`, each key and value encoded once more (E2B's specification)."""
    try:
        pairs: list[Any] = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise wire(400, "Error parsing metadata") from None
    return {unquote(name): unquote(value) for name, value in pairs}


def _time(given: str) -> datetime | None:
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given.replace(" ", "+"))  # a plus sign that a client left as it is
    except ValueError:
        raise wire(400, f"Invalid startedAfter: {given}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
