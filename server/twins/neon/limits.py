"""How often one may ask: 700 times a minute in all, and 40 times a second on one route (Neon docs, API rate limits)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core.limits import RateLimit
from server.twins.neon.errors import rate_limited

if TYPE_CHECKING:
    from server.twins.core import Site


class Limits:
    def __init__(self, site: Site) -> None:
        self._account = RateLimit(site, "account", limit=700, seconds=60.0)
        self._route = RateLimit(site, "route", limit=40, seconds=1.0)

    def take(self, account: str, route: str) -> None:
        """Raises the vendor's 429."""
        if not self._route.take(f"{account} {route}").allowed or not self._account.take(account).allowed:
            raise rate_limited()
