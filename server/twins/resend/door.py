"""Where every call comes in: who calls and how often, what it says, and what every answer carries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core import WireError
from server.twins.core.auth import bearer
from server.twins.core.paging import cursor_page
from server.twins.resend import errors, limits
from server.twins.resend.keys import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message

    from server.twins.resend.keys import Key
    from server.twins.resend.state import Team

    Access = Literal["full", "sending"]

LARGEST_PAGE, USUAL_PAGE = 100, 20
LARGEST_MAIL = 40 * 1024 * 1024
"""Attachments included, as they travel: in base64."""


@dataclass(frozen=True)
class Call:
    """One request, authenticated and read."""

    key: Key
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    payload: Any

    @property
    def body(self) -> dict[str, Any]:
        found = self.payload
        if not isinstance(found, dict):
            raise errors.invalid("The request body must be an `object`.")
        return cast("dict[str, Any]", found)

    def page(self, oldest_first: list[dict[str, Any]], *, whole: bool = False) -> dict[str, Any]:
        """Newest first. Lists older than pagination come `whole` unless asked otherwise (Resend docs, "Pagination")."""
        docs = oldest_first[::-1]
        asked, after, before = (self.query.get(name, "") for name in ("limit", "after", "before"))
        if after and before:
            raise errors.invalid("The `after` and `before` parameters cannot be used together.")
        limit = int(asked) if asked.isdecimal() else 0
        if not asked:
            limit = max(len(docs), 1) if whole and not (after or before) else USUAL_PAGE
        elif limit not in range(1, LARGEST_PAGE + 1):
            raise errors.invalid("The pagination limit must be a number between 1 and 100.")
        try:
            page = cursor_page(docs, limit=limit, after=after, before=before)
        except KeyError:
            raise errors.invalid("The pagination cursor does not exist.") from None
        return {"object": "list", "has_more": page.has_more, "data": page.items}


class Door:
    def __init__(self, team: Team) -> None:
        self._team = team

    def on(self, spec: str, answer: Callable[[Call], Any], status: int = 200, *, access: Access = "full") -> Route:
        """A route: `answer` gives the body, at once or in a while; `access` says which keys may call it."""
        method, path = spec.split()

        async def handle(request: Request) -> Response:
            if not request.headers.get("user-agent"):
                raise errors.no_user_agent()
            return await self._handle(request, answer, status, access)

        return Route(path, handle, methods=[method])

    async def _handle(self, request: Request, answer: Callable[[Call], Any], status: int, access: Access) -> Response:
        payload: Any = None
        who, refusal = self._who(request)
        verdict = self._team.meter.count(limits.STRANGER if refusal else limits.TEAM)
        try:
            if not verdict.allowed:
                raise errors.rate_limited(verdict.limit)
            if refusal or who is None:
                raise refusal or errors.invalid_api_key()
            if access == "full" and who.permission != FULL:
                raise errors.restricted_api_key()
            payload = await _payload(request)
            found = answer(Call(who, request.path_params, request.query_params, request.headers, payload))
            body = await found if isawaitable(found) else found
        except WireError as error:
            status, body = error.status, error.body
        headers = {**limits.headers(verdict), **({} if refusal else self._team.quota.headers())}
        if not refusal:
            self._team.logs.add(request, payload, status, body)
        return JSONResponse(body, status, headers, "application/json; charset=utf-8")

    def _who(self, request: Request) -> tuple[Key | None, WireError | None]:
        try:
            return self._team.keys.authenticate(bearer(request)), None
        except WireError as error:
            return None, error

    async def no_such_route(self, _request: Request, _error: Exception) -> Response:
        return self._outside(errors.no_such_route())

    async def not_allowed(self, _request: Request, _error: Exception) -> Response:
        return self._outside(errors.method_not_allowed())

    async def failed(self, _request: Request, _error: Exception) -> Response:
        return self._outside(errors.failed())

    def _outside(self, error: WireError) -> Response:
        """An answer no route gives."""
        headers = limits.headers(self._team.meter.look(limits.TEAM))
        return JSONResponse(error.body, error.status, headers, "application/json; charset=utf-8")


async def _payload(request: Request) -> Any:
    """JSON, whatever its type is said to be; or the fields of a form, its files read."""
    raw = await _octets(request)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _fields(request, raw)
    try:
        return _json(raw) if raw else {}
    except (RecursionError, ValueError):
        raise errors.bad_json() from None


def _json(raw: bytes) -> Any:
    """Raises `ValueError` for what could not be written as JSON again: numbers that are none, halves of characters."""

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    found = json.loads(raw, parse_constant=refuse)
    if b"\\ud" in raw.lower():
        json.dumps(found, ensure_ascii=False).encode()
    return found


async def _octets(request: Request) -> bytes:
    """The body, unless it is, or says that it will be, larger than a mail may be."""
    found = bytearray()
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > LARGEST_MAIL:
        raise errors.too_large()
    async for chunk in request.stream():
        found += chunk
        if len(found) > LARGEST_MAIL:
            raise errors.too_large()
    return bytes(found)


async def _fields(request: Request, raw: bytes) -> dict[str, Any]:
    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    async with Request(request.scope, receive).form() as form:
        return {
            name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.multi_items()
        }
