"""Streams that break off with an `error` event, ordered at `/_twin/stream_errors`.

The API can fail after it has answered 200; the SDKs then raise from the middle of a stream (Claude docs, Errors).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from server.twins.anthropic.errors import SENTENCES, body

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Interruption:
    """`times` streams end after `after` events with this error."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic at the edge, never changed

    type: Literal["overloaded_error", "api_error", "rate_limit_error", "timeout_error", "invalid_request_error"] = (
        "overloaded_error"
    )
    message: str = ""
    after: int = 3
    times: int = 1


class Interruptions:
    """Those now ordered, in memory: a restarted twin is a healthy one."""

    def __init__(self) -> None:
        self._ordered: list[Interruption] = []

    def through(self, events: Iterator[str], request_id: str) -> Iterator[str]:
        """The stream, broken off if that is ordered."""
        interruption = self._take()
        if interruption is None:
            yield from events
            return
        for number, event in enumerate(events):
            if number == interruption.after:
                break
            yield event
        told = interruption.message or SENTENCES.get(interruption.type, "The stream was interrupted")
        yield f"event: error\ndata: {json.dumps(body(interruption.type, told, request_id))}\n\n"

    def _take(self) -> Interruption | None:
        if not self._ordered:
            return None
        first = self._ordered[0]
        self._ordered[:1] = [replace(first, times=first.times - 1)] if first.times > 1 else []
        return first

    def order(self, interruption: Interruption) -> None:
        self._ordered.append(interruption)

    def clear(self) -> None:
        self._ordered.clear()
