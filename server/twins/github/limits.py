"""GitHub's limits (GitHub docs, "Rate limits for the REST API").

Primary: so many calls an hour of a user, an installation (50 more for every repository past its twentieth) or an
address. Secondary: 100 calls at once, 900 points a
minute (a read costs 1, a write 5), 80 creations a minute and 500 an hour. A 304 answer costs nothing.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from server.twins.core import RateLimit, Verdict
from server.twins.github import errors

if TYPE_CHECKING:
    from collections.abc import Generator

    from server.twins.core import Site
    from server.twins.github.actors import Actor
    from server.twins.github.installations import Installations

HOUR, MINUTE = 3600.0, 60.0
AT_ONCE = "at once"
WRITE_POINTS = 5
REFUSED_SECONDS = 60
"""What GitHub asks for where it cannot say when it will be better."""


class Limits:
    def __init__(self, site: Site, installations: Installations) -> None:
        self._site = site
        self._installations = installations
        self._users = RateLimit(site, "core", limit=5000, seconds=HOUR)
        self._strangers = RateLimit(site, "core without a token", limit=60, seconds=HOUR)
        self._installed = RateLimit(site, "core of an installation, at most", limit=12_500, seconds=HOUR)
        self._points = RateLimit(site, "points a minute", limit=900, seconds=MINUTE)
        self._creations = [
            RateLimit(site, "creations a minute", limit=80, seconds=MINUTE),
            RateLimit(site, "creations an hour", limit=500, seconds=HOUR),
        ]
        self._at_once = RateLimit(site, AT_ONCE, limit=100, seconds=HOUR)  # holds the figure; the count is below
        self._open = Counter[str]()

    @contextmanager
    def inside(self, who: str) -> Generator[None]:
        """One of the caller's requests at once. Raises when there are too many."""
        most = self._site.limits.allowances[AT_ONCE].limit
        if self._open[who] >= most and self._site.limits.enforced:
            self._site.limits.refuse(AT_ONCE)
            raise errors.secondary_rate_limited(REFUSED_SECONDS)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1

    def admit(self, actor: Actor | None, address: str, method: str, *, creates: bool) -> None:
        """Raises what a caller over one of the limits is told."""
        who = self.who(actor, address)
        if self.standing(actor, address).remaining == 0 and self._site.limits.enforced:
            raise self._exceeded(actor, address)
        points = self._points.take(who, 1 if method in ("GET", "HEAD") else WRITE_POINTS)
        if not points.allowed:
            raise errors.secondary_rate_limited(points.retry_after)
        for limit in self._creations if creates else ():
            if not (verdict := limit.take(who)).allowed:
                raise errors.content_rate_limited(verdict.retry_after)

    def count(self, actor: Actor | None, address: str) -> None:
        """A call that costs."""
        self._limit(actor).take(self.who(actor, address))

    def standing(self, actor: Actor | None, address: str) -> Verdict:
        verdict = self._limit(actor).look(self.who(actor, address))
        if actor is None or actor.kind != "installation":
            return verdict
        repositories = self._installations.repositories(self._installations.of(actor))
        earned = 5000 + 50 * max(0, len(repositories) - 20)
        used, limit = verdict.limit - verdict.remaining, min(verdict.limit, earned)
        return replace(verdict, limit=limit, remaining=max(0, limit - used))

    def _limit(self, actor: Actor | None) -> RateLimit:
        if actor is None:
            return self._strangers
        return self._installed if actor.kind == "installation" else self._users

    @staticmethod
    def who(actor: Actor | None, address: str) -> str:
        """All tokens of a user share one allowance, and so do all of an installation."""
        if actor is None:
            return f"address {address}"
        return f"installation {actor.installation}" if actor.installation else f"{actor.kind} {actor.account['id']}"

    def _exceeded(self, actor: Actor | None, address: str) -> errors.Refusal:
        if actor is None:
            return errors.anonymous_rate_limited(address)
        who = f"installation ID {actor.installation}" if actor.installation else f"user ID {actor.account['id']}"
        return errors.rate_limited(who)
