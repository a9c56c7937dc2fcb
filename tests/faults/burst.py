"""A thousand sessions asked for at once, at vendors that keep to their limits: nobody is turned away, and none is lost.

    python -m tests.faults.burst [--seed S] [--count N] [--faster F] [--json]

The limits are the vendors' own, and ours the defaults, all `--faster` times as many calls in the same time: the ratio
stays. The tightest is the mail's. What the Neon and GitHub twins make is real and costs this machine's processors, so
ours for these two are spread over the seconds too, as an operator may set them. Told are calls turned away, the mail's
throughput as the vendor saw it, and whether who asked first was served first.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from server import limits
from server.settings import SERVICES, Settings
from tests.faults.long_run import Run, command
from tests.faults.servers import environment, servers
from tests.faults.stage import Stage, stage
from tests.faults.vendors import inventory, on_record, segments_and_keys
from tests.faults.verdict import Verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from datetime import datetime

    from server.books.record import SessionKey

VENDORS = ("neon", "resend", "github")
SPREAD = {"neon": "5/s", "github": "2/s"}
AT_ONCE = "32"
FULL = 0.95
IN_ORDER = 0.98
ASKING_AT_ONCE = 50
PATIENCE_SECONDS = 3600.0


def faster(text: str, factor: int) -> str:
    """The limit with so many times as many calls."""
    return " ".join(f"{limit.most * factor}/{limit.text.partition('/')[2]}" for limit in limits.read(text))


def our_limits(factor: int) -> dict[str, str]:
    """The defaults of the settings, by field, spread."""
    settings = Settings()
    texts = {vendor: f"{getattr(settings, f'limit_{vendor}')} {SPREAD.get(vendor, '')}" for vendor in VENDORS}
    return {f"limit_{vendor}": faster(text.strip(), factor) for vendor, text in texts.items()}


@asynccontextmanager
async def strict(on: Stage, factor: int) -> AsyncGenerator[None]:
    """The twins keep to their vendors' limits, so many times as many calls; nothing is kept of them afterwards."""
    kept = {vendor: await on.stack.twin(vendor, "GET", "limits") for vendor in VENDORS}
    for vendor, was in kept.items():
        many = {name: {**one, "limit": one["limit"] * factor} for name, one in was["allowances"].items()}
        await on.stack.twin(vendor, "PUT", "limits", {"enforced": True, "allowances": many})
    try:
        yield
    finally:
        for vendor, was in kept.items():
            await on.stack.twin(vendor, "PUT", "limits", {"enforced": False, "allowances": was["allowances"]})


@dataclass(frozen=True)
class Served:
    """What came of a burst."""

    refused: dict[str, int]
    seconds: float
    full: float
    """Of the tightest limit's throughput, as the vendor saw it."""
    in_order: float
    """1 when who asked first was served first, 0 when the order is anybody's (Spearman's rank correlation)."""
    overtaken_by: int
    """By how many who asked later, at worst."""


async def burst(
    on: Stage, verdict: Verdict, count: int, ask: Callable[[int, SessionKey], Awaitable[object]], factor: int
) -> Served:
    """Raises `AssertionError` unless every session has one of everything and nobody else has anything."""
    keys = [verdict.books.sessions.mint() for _ in range(count)]
    await asyncio.to_thread(lambda: [verdict.books.sessions.open(key, services=SERVICES) for key in keys])
    before = await _refused(on)
    began = time.monotonic()
    asked: list[SessionKey] = []
    room = asyncio.Semaphore(ASKING_AT_ONCE)

    async def one(number: int, key: SessionKey) -> None:
        async with room:
            asked.append(key)
            await ask(number, key)

    await asyncio.gather(*(one(number, key) for number, key in enumerate(keys)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while verdict.books.sessions.unfinished():  # noqa: ASYNC110 - other processes say so
            await asyncio.sleep(0.5)
    seconds = time.monotonic() - began
    sessions = [verdict.books.sessions.by_slug(key.slug) for key in asked]
    assert (left := [session for session in sessions if session.state != "ready"]) == [], f"{len(left)}: {left[:3]}"
    refused = {name: times - before.get(name, 0) for name, times in (await _refused(on)).items()}
    for vendor in VENDORS:  # our own looking is not what is limited
        await on.stack.twin(vendor, "PUT", "limits", {"enforced": False})
    found = await inventory(on.stack.facts)
    assert {name: found.get(name, {}) for name in found} == {s.app_id: on_record(s, SERVICES) for s in sessions}
    moments = await segments_and_keys(on.stack.facts)
    served = sorted(moments, key=lambda app_id: moments[app_id][0])
    ranks = {app_id: rank for rank, app_id in enumerate(served)}
    order = [ranks[session.app_id] for session in sessions]
    every = sorted(moment for pair in moments.values() for moment in pair)
    return Served(
        {name: times for name, times in refused.items() if times},
        seconds,
        _fullness(every, limits.read(our_limits(factor)["limit_resend"])[0]),
        _correlation(order),
        max(place - number for number, place in enumerate(order)),
    )


async def _refused(on: Stage) -> dict[str, int]:
    return {
        f"{vendor}: {name}": times
        for vendor in VENDORS
        for name, times in (await on.stack.twin(vendor, "GET", "limits"))["refused"].items()
    }


def _fullness(moments: Sequence[datetime], limit: limits.Limit) -> float:
    """How long so many calls take at the least, over how long they took."""
    least = (-(-len(moments) // limit.most) - 1) * limit.seconds
    return least / max((moments[-1] - moments[0]).total_seconds(), least)


def _correlation(order: Sequence[int]) -> float:
    count = len(order)
    return 1 - 6 * sum((place - number) ** 2 for number, place in enumerate(order)) / (count * (count**2 - 1))


async def work(run: Run, asked: argparse.Namespace) -> None:
    factor: int = asked.faster
    async with stage() as on:
        url = on.cluster.new_database()
        ours: dict[str, Any] = {f"MK0R_{name.upper()}": text for name, text in our_limits(factor).items()}
        ours["MK0R_SESSIONS_AT_ONCE"] = AT_ONCE  # the twins' work is on the same processors
        async with (
            Verdict.over(on.stack.facts, url) as verdict,
            strict(on, factor),
            servers(on, on.new_folder(), 2, environment(on.stack.facts, verdict, url, **ours)) as both,
        ):
            first = Random(run.seed).randrange(2)
            served = await burst(
                on,
                verdict,
                run.count,
                lambda number, key: both[(number + first) % 2].ask(key, SERVICES, seconds=PATIENCE_SECONDS),
                factor,
            )
    run.figures |= {
        "sessions": run.count,
        "limits": our_limits(factor),
        "calls_turned_away": served.refused,
        "seconds_until_all_were_ready": round(served.seconds, 1),
        "of_the_tightest_limits_throughput": round(served.full, 3),
        "served_in_order": round(served.in_order, 4),
        "overtaken_by_at_worst": served.overtaken_by,
    }
    if served.refused:
        run.fail(f"turned away: {served.refused}")
    if served.full < FULL:
        run.fail(f"{served.full:.1%} of the tightest limit's throughput is less than {FULL:.0%}")
    if served.in_order < IN_ORDER:
        run.fail(f"who asked first was not served first: {served.in_order:.2f}")


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faster", type=int, default=4, help="so many times the vendors' calls in the same time")


if __name__ == "__main__":
    sys.exit(command("burst", __doc__, work, count=1000, more=more))
