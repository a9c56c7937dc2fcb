"""What the team pays for: how many mails a day and a month, and what is used of it.

A twin begins on a paid plan, so that building apps on it does not end at the hundredth mail. The free plan's figures
are one `PUT /_twin/plan` away. (Resend docs, "Account quotas and limits"; "Retrieve usage".)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from server.twins.resend import errors, times

if TYPE_CHECKING:
    from typing import Literal

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body


@dataclass(frozen=True)
class Plan:
    """`None` is no limit. Mail to several recipients counts once for each; received mail counts too."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic at the edge, never changed

    name: str = "pro"
    daily: int | None = None
    monthly: int = 50_000
    contacts: int = 5_000
    segments: int | None = None
    domains: int | None = 10


FREE = Plan("free", daily=100, monthly=3_000, contacts=1_000, segments=3, domains=1)


class Quota:
    """Counts in UTC's days and months."""

    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    @property
    def plan(self) -> Plan:
        kept = self._records.get("plan", "team")
        return Plan(**kept) if kept else Plan()

    def choose(self, plan: Plan) -> None:
        self._records.put("plan", "team", asdict(plan))

    def spend(self, mails: int, what: Literal["sent", "received"] = "sent") -> None:
        """Raises Resend's error, and counts nothing, when a quota would not hold so many."""
        plan = self.plan
        if what == "sent":
            if plan.daily is not None and self._used(self._day()) + mails > plan.daily:
                raise errors.daily_quota()
            if self._used(self._month()) + mails > plan.monthly:
                raise errors.monthly_quota()
        for period in (self._day(), self._month()):
            counted = self.counted(period)
            self._records.put("counter", period, {**counted, what: counted[what] + mails})

    def headers(self) -> dict[str, str]:
        """How many mails count against each quota; the daily one only where the plan has one."""
        daily = {} if self.plan.daily is None else {"x-resend-daily-quota": str(self._used(self._day()))}
        return {**daily, "x-resend-monthly-quota": str(self._used(self._month()))}

    def emails(self) -> Body:
        now = self._site.clock().astimezone(UTC)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        first = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        return {
            "daily": self._usage(self._day(), self.plan.daily, midnight),
            "monthly": self._usage(self._month(), self.plan.monthly, first),
        }

    def counted(self, period: str) -> dict[str, int]:
        return self._records.get("counter", period) or {"sent": 0, "received": 0}

    def _usage(self, period: str, limit: int | None, resets_at: datetime) -> Body:
        return {"used": self._used(period), "limit": limit, **self.counted(period), "resets_at": times.iso(resets_at)}

    def _used(self, period: str) -> int:
        return sum(self.counted(period).values())

    def _day(self) -> str:
        return self._site.clock().astimezone(UTC).strftime("%Y-%m-%d")

    def _month(self) -> str:
        return self._site.clock().astimezone(UTC).strftime("%Y-%m")
