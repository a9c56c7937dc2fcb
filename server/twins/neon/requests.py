"""Reading a request of the API v2: its body and its query, or the vendor's 400 and 422."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from server.twins.neon.documents import moment
from server.twins.neon.errors import api_error

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body], *, required: bool = True) -> Body:
    """A request's JSON body; one that is not `required` may be left out."""
    data = await request.body()
    if not data.strip() and not required:
        return kind()
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise api_error(400, "request body is not valid JSON") from None
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise api_error(422, f"{field}: {first['msg']}") from None


def read_number(request: Request, name: str, *, default: int, least: int = 1, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise api_error(422, f"{name}: must be between {least} and {most}")
    return int(text)


def read_flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0", ""):
        raise api_error(422, f"{name}: must be true or false")
    return text in ("true", "1")


def read_choice(request: Request, name: str, *choices: str) -> str:
    """The first choice is the default."""
    text = request.query_params.get(name, choices[0])
    if text not in choices:
        raise api_error(422, f"{name}: must be one of {', '.join(choices)}")
    return text


def read_moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        return moment(text)
    except ValueError:
        raise api_error(422, f"{name}: must be a date-time") from None


def read_list(request: Request, name: str) -> list[str]:
    """Given several times, or once with commas."""
    given = request.query_params.getlist(name)
    return [part for text in given for part in text.split(",") if part]
