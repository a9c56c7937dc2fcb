"""The models there are: one, the rehearsal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.anthropic.errors import error, invalid
from server.twins.core.paging import cursor_page

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from server.twins.anthropic.conversation import Json

MODEL = "rehearsal"
MAX_INPUT_TOKENS = 1_000_000
MAX_TOKENS = 128_000
"""As the vendor's models of today have."""
STAGES = ("active", "deprecated", "retired")
_YES = {"supported": True}
_NO = {"supported": False}

CARD: dict[str, Any] = {
    "type": "model",
    "id": MODEL,
    "display_name": "Rehearsal (a script, not a model)",
    "created_at": "2026-01-01T00:00:00Z",
    "lifecycle": "active",
    "line": None,
    "deprecated_at": None,
    "retires_at": None,
    "max_input_tokens": MAX_INPUT_TOKENS,
    "max_tokens": MAX_TOKENS,
    "capabilities": {
        "batch": _NO,
        "citations": _NO,
        "code_execution": _NO,
        "context_management": {
            **_NO,
            "clear_thinking_20251015": _NO,
            "clear_tool_uses_20250919": _NO,
            "compact_20260112": _NO,
        },
        "effort": {"supported": True, "low": _YES, "medium": _YES, "high": _YES, "xhigh": _YES, "max": _YES},
        "image_input": _YES,
        "pdf_input": _NO,
        "server_tools": {"supported": False, "web_search": _NO, "code_execution": _NO},
        "structured_outputs": _YES,
        "thinking": {
            "supported": True,
            "types": {"adaptive": _YES, "between_tools": _YES, "disabled": _YES, "enabled": _YES},
        },
    },
}


def page(query: QueryParams) -> Json:
    """A page of the list. Raises what the API answers a wrong query with."""
    limit = _limit(query.get("limit", "20"))
    after, before = query.get("after_id", ""), query.get("before_id", "")
    if after and before:
        raise invalid("Only one of `before_id` and `after_id` can be provided")
    stages = query.getlist("lifecycle") or query.getlist("lifecycle[]") or ["active", "deprecated"]
    if strange := [stage for stage in stages if stage not in STAGES]:
        raise invalid(f"lifecycle: Input should be 'active', 'deprecated' or 'retired', not '{strange[0]}'")
    shown = [CARD] if CARD["lifecycle"] in stages else []
    try:
        found = cursor_page(shown, limit=limit, after=after, before=before)
    except KeyError:
        raise invalid(f"{'after_id' if after else 'before_id'}: there is no model {after or before}") from None
    ends = [found.items[0]["id"], found.items[-1]["id"]] if found.items else [None, None]
    return {"data": found.items, "has_more": found.has_more, "first_id": ends[0], "last_id": ends[1]}


def one(model_id: str) -> Json:
    if model_id != MODEL:
        raise error(404, f"model: {model_id}")
    return CARD


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        raise invalid("limit: Input should be a valid integer, unable to parse string as an integer") from None
    if limit < 1:
        raise invalid("limit: Input should be greater than or equal to 1")
    if limit > 1000:  # noqa: PLR2004 - models list, `limit`
        raise invalid("limit: Input should be less than or equal to 1000")
    return limit
