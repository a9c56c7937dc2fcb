"""Kill, or stop, a server that keeps a pool, start another, and count what there is.

    python -m tests.faults.pool_sweep [--sample N] [--seed S] [--at-once K]

At the pool's own points and at some of an entry's making. Whatever dies: so many entries wait as should, each whole;
a session that was handed out is its caller's, whole, and told like any other; of everything else nothing is left.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from server import crash
from server.books.schema import POOL, SESSIONS
from server.settings import LEGS
from tests.faults.crash_sweep import sweep
from tests.faults.lives import KILLED
from tests.faults.stage import stage
from tests.faults.stores import STORES
from tests.faults.verdict import Verdict
from tests.faults.worker import Plan

if TYPE_CHECKING:
    from tests.faults.stage import Stage

Order = Literal["restart", "two at once", "wakes"]
ORDERS: dict[str, tuple[Order, ...]] = {"sqlite": ("restart",), "postgres": ("restart", "two at once", "wakes")}
OF_THE_MAKING = ("round.planned", "database.posted", "vm.made", "env.written", "round.finished")


@dataclass(frozen=True)
class Case:
    """One death, and who comes after it."""

    point: str
    store: str
    order: Order

    @property
    def claims(self) -> bool:
        return self.point in ("pool.claiming", "pool.claimed")

    @property
    def is_claimed(self) -> bool:
        """Whether by then the session is its caller's, or becomes it when a sleeper wakes."""
        return self.point == "pool.claimed"

    @property
    def removes(self) -> bool:
        return self.point == "pool.retired"


def cases() -> list[Case]:
    points = (*crash.OF_THE_POOL, *OF_THE_MAKING)
    return [Case(point, store, order) for point in points for store in STORES for order in ORDERS[store]]


async def run(case: Case, on: Stage) -> None:
    """Raises `AssertionError` when something is lost, doubled, or not what it is said to be."""
    folder = on.new_folder()
    url, told = on.new_store(case.store, folder)
    async with Verdict.over(on.stack.facts, url) as verdict:
        common: dict[str, Any] = {
            "stack_file": str(on.stack.home.stack_file),
            "home": str(folder),
            "result": str(folder / "result.json"),
            "database_url": told,
            "secret_key": verdict.secret_key,
            "session_key": verdict.key.reveal(),
        }
        wanted = 0 if case.removes else 1
        fatal = Plan(**common, pool=wanted, claim=case.claims, stop_at=case.point, asleep=case.order == "wakes")
        after = Plan(**common, pool=wanted, newer=True)
        if case.removes:
            await _life(on, Plan(**common, pool=1), expected=0)
        if case.order == "wakes":
            sleeper = await on.lives.begin(fatal)
            await sleeper.until_stopped()
            await _life(on, after, expected=0)
            sleeper.wake()
            await sleeper.end(90)
        else:
            await _life(on, fatal, expected=KILLED)
            servers = 2 if case.order == "two at once" else 1
            await asyncio.gather(*(_life(on, after, expected=0) for _ in range(servers)))
        try:
            await _judge(case, verdict, wanted)
        finally:
            for slug in _slugs(verdict):
                await replace(verdict, slug=slug).clean_up()


async def _life(on: Stage, plan: Plan, *, expected: int) -> None:
    life = await on.lives.begin(plan)
    status = await life.end(90)
    if status != expected:
        said = life.log.read_text()[-3000:] if life.log.exists() else ""
        raise AssertionError(f"a life ended with {status}, not {expected}, at {plan.stop_at!r}:\n{said}")


async def _judge(case: Case, verdict: Verdict, wanted: int) -> None:
    with verdict.books.engine.connect() as connection:
        entries = [(entry.slug, entry.state) for entry in connection.execute(sa.select(POOL))]
    waiting = [slug for slug, _ in entries]
    assert [state for _, state in entries] == ["ready"] * wanted, entries
    theirs = [session.slug for session in verdict.books.sessions.all()]
    if not (case.order == "wakes" and case.claims):  # a sleeper's claim may come after all, or be lost
        assert len(theirs) == case.is_claimed, theirs
    for slug in _slugs(verdict):
        one = replace(verdict, slug=slug)
        if slug in waiting or slug in theirs:
            await one.all_stands(LEGS)
        else:
            await one.nothing_is_left(LEGS)
    for slug in theirs:
        story = verdict.books.events.since(slug, 0)
        assert story[0].type == "session.created"
        assert [event.type for event in story].count("preview.ready") == 1


def _slugs(verdict: Verdict) -> list[str]:
    with verdict.books.engine.connect() as connection:
        return [*connection.execute(sa.select(SESSIONS.c.slug)).scalars()]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2)
    asked = parser.parse_args()
    chosen = cases()
    if asked.sample:
        chosen = Random(asked.seed).sample(chosen, min(asked.sample, len(chosen)))
    async with stage() as on:
        bad = await sweep(chosen, lambda case: run(case, on), at_once=asked.at_once)
    for case, why in bad:
        print(f"{case}\n  {why}")  # noqa: T201
    print(f"{len(chosen) - len(bad)} of {len(chosen)} passed, seed {asked.seed}")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
