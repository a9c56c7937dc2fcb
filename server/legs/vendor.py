"""One HTTP client and one retry policy for every vendor.

A GET or DELETE is tried again after a network error, a 429 or a 5xx. A POST is tried again only when nothing
was done: it was never sent, or the vendor's answer says so (423, 429, 503). A leg's time budget bounds the whole.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from server.errors import LegError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random

    from server.secrets import Secret

Model = TypeVar("Model", bound=BaseModel)

ATTEMPTS = 4
LARGEST_BODY = 4 * 1024 * 1024
TIMEOUT = httpx.Timeout(20, connect=5, pool=20)
NOTHING_DONE = {HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
SAFE = {"GET", "DELETE", "PUT"}
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)


@dataclass(frozen=True)
class Answer:
    """A vendor's answer: status and JSON body (an empty dict when there was none)."""

    status: int
    body: Any


class Vendor:
    """Speaks JSON to one vendor."""

    def __init__(
        self,
        name: str,
        http: httpx.AsyncClient,
        base_url: str,
        credential: Secret,
        *,
        random: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._credential = credential
        self._random = random
        self._sleep = sleep
        self._headers = headers or {}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """The answer to one call. A status of 400 and over is a `LegError`, unless it is in `accept`."""
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                response = await self._send(method, path, body, query or {})
            except httpx.TransportError as error:
                if last or (method not in SAFE and not isinstance(error, NEVER_SENT)):
                    raise self._no_answer(error) from None
                await self._sleep(self._pause(attempt, None))
                continue
            again = response.status_code in NOTHING_DONE or (method in SAFE and response.is_server_error)
            if again and not last and response.status_code not in accept:
                await self._sleep(self._pause(attempt, response.headers.get("retry-after")))
                continue
            if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code not in accept:
                raise self._refused(response.status_code)
            return Answer(response.status_code, self._json(response))
        raise AssertionError("unreachable")

    async def _send(self, method: str, path: str, body: Any, query: Mapping[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._credential.reveal()}", **self._headers}
        url = self._base_url + path
        request = self._http.build_request(method, url, json=body, params=dict(query) or None, headers=headers)
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise self.bad_answer()
                chunks.append(chunk)
        finally:
            await response.aclose()
        return httpx.Response(response.status_code, headers=_without_encoding(response), content=b"".join(chunks))

    def _json(self, response: httpx.Response) -> Any:
        if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
            raise self.bad_answer()
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError:
            raise self.bad_answer() from None

    def _pause(self, attempt: int, retry_after: str | None) -> float:
        told = _seconds(retry_after)
        jittered = self._random.uniform(0.5, 1.0) * 0.25 * 2**attempt
        return jittered if told is None else told + self._random.uniform(0, 0.2)

    def _no_answer(self, error: httpx.TransportError) -> LegError:
        timed_out = isinstance(error, httpx.TimeoutException)
        return LegError(
            f"{self.name} {'did not answer in time' if timed_out else 'could not be reached'}.",
            code="timed_out" if timed_out else "unreachable",
            next_action="Provision this service again in a minute; the rest of the session works.",
            retryable=True,
        )

    def read(self, model: type[Model], body: Any) -> Model:
        """`body` as `model`; an answer without what we need is a `LegError`."""
        try:
            return model.model_validate(body)
        except ValidationError:
            raise self.bad_answer() from None

    def bad_answer(self) -> LegError:
        return LegError(
            f"{self.name} answered something this version does not understand.",
            code="bad_answer",
            next_action="Provision this service again; if it stays, report it with the time.",
            retryable=True,
        )

    def _refused(self, status: int) -> LegError:
        code, said, action, retryable = _REFUSALS.get(status, _FAILED if status >= 500 else _REJECTED)  # noqa: PLR2004
        return LegError(f"{self.name} {said} (HTTP {status}).", code=code, next_action=action, retryable=retryable)


_AGAIN = "Provision this service again in a minute; the rest of the session works."
_KEY = "The operator has to check this vendor's credential: run `mk0r doctor`."
_FAILED = ("vendor_failed", "failed", _AGAIN, True)
_REJECTED = ("rejected", "rejected the request", "Report this with the time; the rest of the session works.", False)
_REFUSALS: dict[int, tuple[str, str, str, bool]] = {
    401: ("credential_refused", "does not accept the credential", _KEY, False),
    403: ("forbidden", "does not allow this credential to do that", _KEY, False),
    402: ("quota", "says a quota is used up", "The operator has to raise the quota or remove old sessions.", False),
    423: ("busy", "is busy with this resource", _AGAIN, True),
    429: ("rate_limited", "asks us to slow down", _AGAIN, True),
}


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` as seconds from now, bounded; both forms of RFC 9110, section 10.2.3."""
    if retry_after is None:
        return None
    try:
        return min(max(float(retry_after), 0), 60)
    except ValueError:
        pass
    try:
        return min(max((parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds(), 0), 60)
    except (TypeError, ValueError):
        return None


def _without_encoding(response: httpx.Response) -> list[tuple[str, str]]:
    return [(k, v) for k, v in response.headers.items() if k.lower() not in {"content-encoding", "content-length"}]
