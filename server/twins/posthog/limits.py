"""Rate limits of the private API, per key (PostHog docs "API overview", `posthog/rate_limit.py`).

Capture and flags have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from server.twins.core.limits import RateLimit
from server.twins.posthog import errors

if TYPE_CHECKING:
    from server.twins.core import Site

Kind = Literal["manage", "analytics", "query", "local_evaluation", "remote_config"]

_MINUTE, _HOUR = 60, 3600
LIMITS: dict[Kind, tuple[tuple[int, int], ...]] = {
    "manage": ((480, _MINUTE), (4800, _HOUR)),
    "analytics": ((240, _MINUTE), (1200, _HOUR)),
    "query": ((240, _MINUTE), (2400, _HOUR)),
    "local_evaluation": ((600, _MINUTE),),
    "remote_config": ((600, _MINUTE),),
}
"""Calls and seconds. The query route had 120 an hour for a long time; some projects still do."""


class Limits:
    def __init__(self, site: Site) -> None:
        names = {_MINUTE: "burst", _HOUR: "sustained"}
        self._limits = {
            kind: [
                RateLimit(site, f"{kind}_{names[seconds]}", limit=limit, seconds=seconds)
                for limit, seconds in all_of_it
            ]
            for kind, all_of_it in LIMITS.items()
        }

    def take(self, kind: Kind, who: str) -> None:
        """Count one call. Raises a 429 that says how long to wait."""
        for limit in self._limits[kind]:
            verdict = limit.take(who)
            if not verdict.allowed:
                raise errors.throttled(verdict.reset_seconds)
