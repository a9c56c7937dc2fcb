"""The API, as a command speaks it: the standard library's HTTP, because an import is a wait."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.errors import Mk0rError

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_SECONDS = 150.0  # the longest request is a `destroy` of every leg
SILENCE_SECONDS = 45.0  # a stream says something every 15 s


class ApiError(Mk0rError):
    """The server said no, in its own sentence."""

    code = "api"


class Unreachable(Mk0rError):
    """No answer: the server is gone, or going."""

    code = "unreachable"


@dataclass(frozen=True)
class Event:
    """One event of a session's stream."""

    seq: int
    type: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Client:
    """One server. `token` is the operator's, from the server's own 0600 file."""

    port: int
    token: str = ""
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def get(self, path: str, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        return self._ask("GET", path, None, seconds)

    def post(self, path: str, body: dict[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        return self._ask("POST", path, body or {}, seconds)

    def delete(self, path: str) -> dict[str, Any]:
        return self._ask("DELETE", path, None, ANSWER_SECONDS)

    def events(self, slug: str, after: int = 0, *, follow: bool = False) -> Iterator[Event]:
        """The session's events after `after`, as they happen, to their end. Raises `Unreachable` on a broken stream."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SILENCE_SECONDS)
        try:
            headers = {**self.headers(), "Last-Event-ID": str(after), "Accept": "text/event-stream"}
            path = f"/api/sessions/{slug}/events{'?follow=1' if follow else ''}"
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise _error(answer.status, answer.read())
            for event in parsed(iter(answer.readline, b"")):
                if event.type == "stream.end":
                    return
                yield event
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable("The server stopped talking.", next_action="It may be restarting.") from error
        finally:
            connection.close()
        raise Unreachable("The server stopped talking.", next_action="It may be restarting.")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {**self.headers(), "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable("The server does not answer.", next_action="See `mk0r doctor`.") from error
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise _error(answer.status, text)
        return json.loads(text)

    def headers(self) -> dict[str, str]:
        """What tells the server who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def parsed(lines: Iterator[bytes]) -> Iterator[Event]:
    """Server-sent events from their lines. Pings and comments are skipped."""
    seq, kind, data = 0, "message", ""
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                seq = int(value)
            case "event":
                kind = value
            case "data":
                data += value
            case "" if not line and data:
                yield Event(seq, kind, json.loads(data))
                kind, data = "message", ""
            case _:
                pass


def _error(status: int, body: bytes) -> ApiError:
    try:
        error = json.loads(body)["error"]
        return ApiError(error["message"], next_action=error.get("next_action", ""), code=error["code"])
    except (ValueError, KeyError, TypeError):
        return ApiError(f"The server answered {status}.", next_action="See `mk0r doctor`.")
