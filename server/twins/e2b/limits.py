"""How many sandboxes a team may have and make (E2B's docs, Rate limits)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.core.limits import Allowance, RateLimit
from server.twins.e2b.errors import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.core import Site

CONCURRENT = "concurrent sandboxes"
CREATIONS = "sandbox creations"
REQUESTS = "api requests"


@dataclass(frozen=True)
class Plan:
    """`creations` a second, `concurrent` sandboxes, `hours` between two resumes."""

    creations: int
    concurrent: int
    hours: int


PLANS = {"hobby": Plan(1, 20, 1), "pro": Plan(5, 100, 24)}


def chosen(environ: Mapping[str, str]) -> Plan:
    """What `MK0R_E2B_PLAN` names: `pro` unless it says `hobby`."""
    return PLANS.get(environ.get("MK0R_E2B_PLAN", ""), PLANS["pro"])


class Limits:
    """The team's. Figures can be changed, and all of it switched off, by `PUT /_twin/limits`."""

    def __init__(self, site: Site, plan: Plan) -> None:
        self.plan = plan
        self._site = site
        self._creations = RateLimit(site, CREATIONS, limit=plan.creations, seconds=1.0)
        self._requests = RateLimit(site, REQUESTS, limit=20_000, seconds=30.0)
        site.limits.allowances.setdefault(CONCURRENT, Allowance(plan.concurrent, 1.0))

    def request(self, caller: str) -> None:
        """Count a call of the API. Raises 429."""
        verdict = self._requests.take(caller)
        if not verdict.allowed:
            raise _refused("Rate limit exceeded, please try again later.", verdict.retry_after)

    def creation(self, running: int, more: int = 1) -> None:
        """Count what makes sandboxes. Raises 429."""
        most = self._site.limits.allowances[CONCURRENT].limit
        if self._site.limits.enforced and running + more > most:
            said = f"You have reached the maximum number of concurrent E2B sandboxes ({most}). "
            raise _refused(said + "Kill or pause some, or ask for a higher limit.", 5)
        verdict = self._creations.take("team")
        if not verdict.allowed:
            raise _refused("You have reached the sandbox creation rate limit of your plan.", verdict.retry_after)


def _refused(message: str, seconds: int) -> Exception:
    return wire(429, message, headers={"Retry-After": str(seconds)})
