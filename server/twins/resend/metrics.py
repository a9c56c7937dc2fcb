"""What became of the team's mail, counted (Resend docs, "Retrieve email metrics")."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

COUNTS = (
    *("received", "delivered", "complained", "suppressed", "bounced", "bounced_transient", "bounced_permanent"),
    *("bounced_undetermined", "opened", "clicked", "unsubscribed", "delivery_delayed", "failed", "sent"),
    *("unique_opened", "unique_clicked"),
)
RATES = {
    "delivery_rate": ("delivered", "sent"),
    "open_rate": ("unique_opened", "delivered"),
    "click_rate": ("unique_clicked", "delivered"),
    "bounce_rate": ("bounced", "sent"),
    "complaint_rate": ("complained", "delivered"),
    "unsubscribe_rate": ("unsubscribed", "delivered"),
}
DIMENSIONS = ("period", "domain", "email", "broadcast")
GRANULARITIES = ("hourly", "daily", "weekly", "monthly")
USUAL_RANGE = timedelta(days=6)


@dataclass(frozen=True)
class Happened:
    """One thing that became of one mail."""

    what: str
    at: datetime
    email: Body


class Metrics:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def get(self, query: Mapping[str, str]) -> Body:
        end = min(_moment(query.get("end_date", "")) or self._site.clock(), self._site.clock())
        start = _moment(query.get("start_date", "")) or end - USUAL_RANGE
        if start > end:
            raise errors.invalid("The `start_date` must be on or before the `end_date`.")
        metrics = _among(query, "metrics", (*COUNTS, *RATES)) or [*COUNTS, *RATES]
        dimensions = _among(query, "dimensions", DIMENSIONS)
        if {"email", "broadcast"} <= set(dimensions) or (query.get("email_id") and query.get("broadcast_id")):
            raise errors.invalid("`email` and `broadcast` cannot be combined.")
        granularity = fields.choice({**query}, "granularity", GRANULARITIES, "daily")
        found = [each for each in self._wanted(query) if start <= each.at <= end]
        told: Body = {
            "object": "metrics",
            "start_date": times.iso(start),
            "end_date": times.iso(end),
            "metrics": metrics,
            "dimensions": dimensions,
            "granularity": granularity,
            "totals": _figures(found, metrics),
        }
        if dimensions:
            told["data"] = self._rows(found, dimensions, metrics, _period(granularity, query.get("timezone", "UTC")))
        return told

    def _wanted(self, query: Mapping[str, str]) -> Iterator[Happened]:
        domains = {doc["id"]: doc["name"] for doc in self._records.all("domain")}
        names = [domains.get(each, "") for each in _listed(query, "domain_id")]
        for email in self._records.all("email"):
            for name, wanted in (("id", "email_id"), ("broadcast_id", "broadcast_id")):
                if query.get(wanted) and email[name] not in _listed(query, wanted):
                    break
            else:
                if not query.get("domain_id") or fields.domain(email["from"]) in names:
                    yield from _events(email)
        if not query.get("email_id") and not query.get("broadcast_id"):
            for received in self._records.all("received"):
                ours: Body = {"id": received["id"], "from": received["received_for"][0], "broadcast_id": None}
                if not query.get("domain_id") or fields.domain(ours["from"]) in names:
                    yield Happened("received", times.read(received["created_at"]), ours)

    def _rows(
        self, found: Sequence[Happened], dimensions: Sequence[str], metrics: Sequence[str], period: _Period
    ) -> list[Body]:
        domains = {doc["name"]: doc["id"] for doc in self._records.all("domain")}
        broadcasts = {doc["id"]: doc["name"] for doc in self._records.all("broadcast")}

        def told(each: Happened) -> Body:
            name, broadcast = fields.domain(each.email["from"]), each.email["broadcast_id"]
            of: Body = {
                "period": {"period": period(each.at)},
                "domain": {"domain_id": domains.get(name), "domain_name": name},
                "email": {"email_id": each.email["id"]},
                "broadcast": {"broadcast_id": broadcast, "broadcast_name": broadcasts.get(broadcast)},
            }
            return {key: value for dimension in dimensions for key, value in of[dimension].items() if value}

        groups: dict[tuple[tuple[str, str], ...], list[Happened]] = {}
        for each in found:
            groups.setdefault(tuple(told(each).items()), []).append(each)
        return [{**dict(group), **_figures(within, metrics)} for group, within in sorted(groups.items())]


def _events(email: Body) -> Iterator[Happened]:
    for event in email["events"]:
        at = times.read(event["at"])
        yield Happened(event["type"], at, email)
        if event["type"] == "bounced":
            yield Happened("bounced_permanent", at, email)


def _figures(found: Iterable[Happened], metrics: Sequence[str]) -> dict[str, float]:
    each = [*found]
    counts = Counter(happened.what for happened in each)
    for what in ("opened", "clicked"):
        counts[f"unique_{what}"] = len({happened.email["id"] for happened in each if happened.what == what})
    rates = {rate: counts[part] / counts[whole] if counts[whole] else 0 for rate, (part, whole) in RATES.items()}
    return {name: rates.get(name, counts[name]) for name in metrics}


class _Period:
    """A moment's bucket, as its first day or hour."""

    def __init__(self, granularity: str, zone: ZoneInfo) -> None:
        self._granularity = granularity
        self._zone = zone

    def __call__(self, moment: datetime) -> str:
        here = moment.astimezone(self._zone)
        match self._granularity:
            case "hourly":
                return here.strftime("%Y-%m-%dT%H:00:00")
            case "weekly":
                return str((here - timedelta(days=here.weekday())).date())
            case "monthly":
                return str(here.date().replace(day=1))
            case _:
                return str(here.date())


def _period(granularity: str, timezone: str) -> _Period:
    try:
        return _Period(granularity, ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError):
        raise errors.invalid("The `timezone` must be an IANA time zone.") from None


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise errors.invalid("Dates must be in ISO 8601 format.") from None
    return found.replace(tzinfo=found.tzinfo or UTC) if found else None


def _listed(query: Mapping[str, str], name: str) -> list[str]:
    return [each for each in query.get(name, "").split(",") if each]


def _among(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> list[str]:
    found = _listed(query, name)
    if unknown := next((each for each in found if each not in allowed), None):
        raise errors.invalid(f"The `{name}` parameter does not know `{unknown}`.")
    return found
