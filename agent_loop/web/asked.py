"""What a request carries, checked: its JSON, its services, its limits, its bearer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from server.errors import BadInput

if TYPE_CHECKING:
    from starlette.requests import Request


async def body(request: Request) -> dict[str, Any]:
    """The JSON object sent; an empty body is an empty object. Raises `BadInput`."""
    raw = await request.body()
    try:
        asked = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise BadInput("The body is not a JSON object.", next_action='Send {"idea": "..."}.')
    return asked  # pyright: ignore[reportUnknownVariableType] - JSON


def service_names(asked: dict[str, Any]) -> list[str] | None:
    """The services asked for, `None` where nothing is said of them. Raises `BadInput`."""
    services = asked.get("services")
    if services is None or (isinstance(services, list) and all(isinstance(name, str) for name in services)):  # pyright: ignore[reportUnknownVariableType] - being checked
        return services  # pyright: ignore[reportUnknownVariableType]
    raise BadInput("`services` is not a list of names.", next_action='Send ["database", "mail"] or leave it out.')


def limits(asked: dict[str, Any]) -> dict[str, Any]:
    """The `model` and `budget_usd` of a run, each `None` where nothing is said of it. Raises `BadInput`."""
    model, budget = asked.get("model"), asked.get("budget_usd")
    if model is not None and not (isinstance(model, str) and 0 < len(model) <= 100):  # noqa: PLR2004 - longer is no id
        raise BadInput("`model` is not a model id.", next_action="Leave it out to use the default.")
    if budget is not None and not (isinstance(budget, int | float) and 0 < budget <= 1000):  # noqa: PLR2004 - a typo
        raise BadInput("`budget_usd` is not an amount above 0 and up to 1000.", next_action="Leave it out.")
    return {"model": model, "budget_usd": budget}


def bearer(request: Request) -> str:
    """The token of its `Authorization`, or nothing."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
