"""The team's rate limit and what every answer says of it (Resend docs, "Usage limits").

Five calls a second for all the team's keys together; `PUT /_twin/limits` changes the figure or switches it off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core import RateLimit

if TYPE_CHECKING:
    from server.twins.core import Site, Verdict

NAME = "requests"
TEAM, STRANGER = "team", "stranger"
"""Whose window a call counts in: one with a good key in the team's, any other in one shared by all strangers."""


class Limits:
    def __init__(self, site: Site) -> None:
        self._limit = RateLimit(site, NAME, limit=5, seconds=1.0)

    def count(self, who: str) -> Verdict:
        return self._limit.take(who)

    def look(self, who: str) -> Verdict:
        return self._limit.look(who)


def headers(verdict: Verdict) -> dict[str, str]:
    said = {
        "ratelimit-limit": str(verdict.limit),
        "ratelimit-policy": f"{verdict.limit};w=1",
        "ratelimit-remaining": str(verdict.remaining),
        "ratelimit-reset": str(verdict.retry_after),
    }
    return said if verdict.allowed else {**said, "retry-after": str(verdict.retry_after)}
