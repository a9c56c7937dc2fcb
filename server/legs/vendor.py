"""One HTTP client for every vendor: JSON over a base URL, bounded, every bad end a typed error.

A GET or DELETE is tried again after a network error, a 429, a 5xx or an unreadable answer. A POST is tried
again only when nothing was done: it was never sent, or the answer says so (each vendor's own `nothing_done`);
where something may have been done, the error says whether the vendor may be asked again after a look.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from server.crash import nowhere
from server.legs import refusals
from server.legs.retry import TRIES, retry_after

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from server.crash import Crash
    from server.errors import LegError
    from server.legs.retry import Retries
    from server.legs.turns import Turn, Turns
    from server.secrets import Secret

Model = TypeVar("Model", bound=BaseModel)

LARGEST_BODY = 4 * 1024 * 1024
CALL_SECONDS = 20.0
TIMEOUT = httpx.Timeout(CALL_SECONDS, connect=5)
SAFE = {"GET", "DELETE", "PUT"}
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Answer:
    """A vendor's answer: status and JSON body (an empty dict when there was none)."""

    status: int
    body: Any


@dataclass(frozen=True)
class Dialect:
    """What is a vendor's own."""

    name: str
    base_url: str
    credential: Secret
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    nothing_done: Collection[int] = (429,)
    """Statuses that promise that even a POST did nothing."""
    limited: Collection[str] = ("GET", "DELETE", "PUT", "PATCH", "POST")
    """The methods its limit counts."""
    key_hint: str = ""
    """What to know about its credentials when one is refused."""


class _Failed(Exception):
    """One try's bad end. `final`: no other try would end better."""

    def __init__(
        self, error: LegError, *, nothing_done: bool = False, final: bool = False, told: float | None = None
    ) -> None:
        self.error = error
        self.nothing_done = nothing_done
        self.final = final
        self.told = told


class Vendor:
    """Speaks JSON to one vendor. Every error is a `LegError` without a word of the vendor's."""

    def __init__(
        self,
        dialect: Dialect,
        http: httpx.AsyncClient,
        *,
        retries: Retries,
        turns: Turns | None = None,
        at: Crash = nowhere,
    ) -> None:
        self.name = dialect.name
        self._dialect = dialect
        self._http = http
        self._retries = retries
        self._turns = turns
        self._at = at

    async def book(self, calls: int) -> list[Turn | None]:
        """Turns for so many calls that only make sense together, one right after the other."""
        return [*await self._turns.book(calls)] if self._turns else [None] * calls

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        turn: Turn | None = None,
    ) -> Answer:
        """The answer to one call, at its next turn or at one that was booked for its first try.

        A status of 400 and over is a `LegError`, unless it is in `accept`.
        """
        for attempt in count(1):
            await self._wait(method, turn if attempt == 1 else None)
            try:
                answer = await self._try(method, path, body, query or {}, accept)
            except _Failed as failed:
                await self._once_more(failed, attempt, safe=method in SAFE)
            else:
                self._retries.worked()
                return answer
        raise AssertionError("unreachable")

    async def _wait(self, method: str, turn: Turn | None) -> None:
        if self._turns and turn is not None:
            await self._turns.until(turn)
        elif self._turns and method in self._dialect.limited:
            await self._turns.take()

    async def _once_more(self, failed: _Failed, attempt: int, *, safe: bool) -> None:
        """Return when the call is to be tried again; raise its error otherwise."""
        if failed.told and self._turns:
            await self._turns.hold(failed.told)
        if not failed.final and (safe or failed.nothing_done):
            more = attempt < TRIES and self._retries.allowed()
            if more and await self._retries.pause(attempt, failed.told):
                return
        elif not failed.final:
            failed.error.again = self._retries.allowed()
        raise failed.error from None

    async def _try(
        self, method: str, path: str, body: Any, query: Mapping[str, str], accept: Collection[int]
    ) -> Answer:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                response, content = await self._send(method, path, body, query)
        except TimeoutError:
            raise _Failed(refusals.no_answer(self.name, timed_out=True)) from None
        except httpx.RequestError as error:
            told = refusals.no_answer(self.name, timed_out=isinstance(error, httpx.TimeoutException))
            raise _Failed(told, nothing_done=isinstance(error, NEVER_SENT)) from None
        if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
            raise _Failed(self.bad_answer(), final=True)  # never followed: it would carry the credential elsewhere
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code not in accept:
            raise self._refused(response)
        return Answer(response.status_code, self._json(content))

    async def _send(self, method: str, path: str, body: Any, query: Mapping[str, str]) -> tuple[httpx.Response, bytes]:
        """One request; the body is read to its end or to what is too much."""
        # An encoded body could be a thousand times what came over the wire, so none is asked for or taken.
        headers = {"Accept-Encoding": "identity", **self._dialect.headers}
        headers["Authorization"] = f"Bearer {self._dialect.credential.reveal()}"
        url = self._dialect.base_url.rstrip("/") + path
        request = self._http.build_request(
            method, url, json=body, params=dict(query) or None, headers=headers, timeout=TIMEOUT
        )
        if method == "POST":
            self._at("posting")
        response = await self._http.send(request, stream=True, follow_redirects=False)
        if method == "POST":
            self._at("posted")
        content = bytearray()
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise _Failed(self.bad_answer())
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST_BODY:
                    raise _Failed(self.bad_answer())
        finally:
            await response.aclose()
        return response, bytes(content)

    def _json(self, content: bytes) -> Any:
        if not content:
            return {}
        try:
            return httpx.Response(200, content=content).json()
        except (ValueError, RecursionError):
            raise _Failed(self.bad_answer()) from None

    def _refused(self, response: httpx.Response) -> _Failed:
        status, told = response.status_code, retry_after(response.headers.get("retry-after"))
        if status == HTTPStatus.FORBIDDEN and (told is not None or refusals.is_used_up(response.headers)):
            # GitHub, "Rate limits": a limit may come as 403.
            status = HTTPStatus.TOO_MANY_REQUESTS
        if status == HTTPStatus.TOO_MANY_REQUESTS and told is None:
            told = refusals.reset_in(response.headers)
        error = refusals.refused(self.name, status, self._dialect.key_hint)
        nothing_done = status in self._dialect.nothing_done
        passing = nothing_done or status in refusals.PASSING or response.is_server_error
        return _Failed(error, nothing_done=nothing_done, final=not passing, told=told)

    def read(self, model: type[Model], body: Any, *, made: bool = False) -> Model:
        """`body` as `model`; without what we need it is a `LegError`. `made`: something was, whatever the answer."""
        try:
            return model.model_validate(body)
        except ValidationError:
            error = self.bad_answer()
            error.again = made and self._retries.allowed()
            raise error from None

    def bad_answer(self) -> LegError:
        return refusals.bad_answer(self.name)

    def incomplete(self) -> LegError:
        """A listing that may have left something out: nothing follows from what is not in it."""
        return refusals.incomplete(self.name)
