"""Rate limits, as a vendor counts them: so many calls of one caller in a window of so many seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.core.site import Site

CALLERS = 10_000
"""Windows kept for one limit; beyond, the ones that have ended are forgotten."""


@dataclass(frozen=True)
class Allowance:
    """`limit` calls in `seconds`."""

    limit: int
    seconds: float


@dataclass
class Limits:
    """What a twin enforces. A test that is not about limits switches them off; the figures can be changed."""

    enforced: bool = True
    allowances: dict[str, Allowance] = field(default_factory=dict[str, Allowance])
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """How many calls each turned away since the twin was started."""

    def refuse(self, name: str) -> None:
        self.refused[name] = self.refused.get(name, 0) + 1


@dataclass(frozen=True)
class Verdict:
    """Whether a call may pass, and what the vendor's headers say of it."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    """Until the window begins anew."""

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least one: what `Retry-After` says."""
        return max(1, math.ceil(self.reset_seconds))


class RateLimit:
    """Fixed windows, one for each caller, each beginning with that caller's first call."""

    def __init__(self, site: Site, name: str, *, limit: int, seconds: float) -> None:
        self._site = site
        self._name = name
        self._windows: dict[str, tuple[float, int]] = {}
        site.limits.allowances.setdefault(name, Allowance(limit, seconds))

    def take(self, who: str, cost: int = 1) -> Verdict:
        """Count a call of `who`. A refused call costs nothing."""
        return self._judge(who, cost, count=True)

    def look(self, who: str) -> Verdict:
        """Where `who` stands, counting nothing."""
        return self._judge(who, 0, count=False)

    def _judge(self, who: str, cost: int, *, count: bool) -> Verdict:
        allowance = self._site.limits.allowances[self._name]
        now = self._site.clock().timestamp()
        began, used = self._windows.get(who, (now, 0))
        if not began <= now < began + allowance.seconds:
            began, used = now, 0
        allowed = used + cost <= allowance.limit or not self._site.limits.enforced
        if count and allowed:
            used += cost
            self._windows[who] = (began, used)
            self._forget(now - allowance.seconds)
        elif count:
            self._site.limits.refuse(self._name)
        left = max(0, allowance.limit - used)
        return Verdict(allowed, allowance.limit, left, began + allowance.seconds - now)

    def _forget(self, before: float) -> None:
        if len(self._windows) > CALLERS:
            self._windows = {who: window for who, window in self._windows.items() if window[0] > before}
