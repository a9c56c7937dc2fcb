"""Provisioning while everything dies: our servers, their PostgreSQL, the vendors and what those stand on.

    python -m tests.faults.chaos [--seed S] [--count N] [--wave N] [--json]

In waves: sessions are asked for and some destroyed again while processes are killed (`kill -9`) at random moments;
then a quiet period, in which whatever is honestly partial is asked for once more; then the verdict. Every session
is ready with exactly one of everything, or is gone with all it had; what nobody claims, the reaper removes, and it
removes nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from server.settings import LEGS, SERVICES, LegName
from tests.faults.killing import TARGETS, Killing
from tests.faults.long_run import Run, at_most, command
from tests.faults.servers import Refused, Server, environment, servers
from tests.faults.stage import Stage, stage
from tests.faults.vendors import inventory, on_record
from tests.faults.verdict import Verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from server.books.record import SessionKey

WAVE = 200
VM_EVERY = 50
DESTROYED_SHARE = 0.05
ASKED_WITHIN_SECONDS = 0.5  # times the wave's size: how long the asking goes on, and the killing
QUIET_SECONDS = 300.0
AT_ONCE = 16


@dataclass(frozen=True)
class Asked:
    """One session somebody wants, and whether they change their mind."""

    key: SessionKey
    services: tuple[LegName, ...]
    after: float
    destroyed_after: float | None

    @property
    def app_id(self) -> str:
        return f"mk0r-{self.key.slug}"


@dataclass
class World:
    """What the waves share."""

    on: Stage
    verdict: Verdict
    servers: list[Server]
    killing: Killing
    random: Random
    run: Run
    figures: Counter[str] = field(default_factory=Counter[str])

    async def wave(self, size: int) -> None:
        asked = [self._asked(number, size) for number in range(size)]
        began = time.monotonic()
        wanting = asyncio.gather(*(self._want(one) for one in asked))
        async with self.killing.going_on():
            await asyncio.wait([wanting], timeout=size * ASKED_WITHIN_SECONDS)
        quiet = time.monotonic()
        await self.killing.all_up()
        await wanting
        wanted = [one for one in asked if one.destroyed_after is None]
        await at_most(AT_ONCE, self._come_to_rest, wanted)
        self.figures["seconds_of_killing"] += round(quiet - began)
        self.figures["seconds_until_all_stood"] += round(time.monotonic() - quiet)
        self.figures["sessions"] += len(asked)
        self.figures["destroyed_meanwhile"] += len(asked) - len(wanted)
        self.figures["with_a_vm"] += sum("vm" in one.services for one in asked)
        await self._judge(asked, wanted)
        await at_most(AT_ONCE, self._destroy, wanted)
        left = await inventory(self.verdict.facts)
        assert left == {}, f"after every session was destroyed there is {left}"

    def _asked(self, number: int, size: int) -> Asked:
        random = self.random
        services = LEGS if number % VM_EVERY == VM_EVERY - 1 else SERVICES
        changes_mind = random.random() < DESTROYED_SHARE
        return Asked(
            self.verdict.books.sessions.mint(),
            services,
            random.uniform(0, size * ASKED_WITHIN_SECONDS),
            random.uniform(0, 3) if changes_mind else None,
        )

    async def _want(self, one: Asked) -> None:
        """Ask until a server says yes; and then, perhaps, think better of it."""
        await asyncio.sleep(one.after)
        await self._until_accepted(lambda: asyncio.to_thread(self._open, one))
        await self._until_accepted(lambda: self._any().ask(one.key, one.services))
        if one.destroyed_after is not None:
            await asyncio.sleep(one.destroyed_after)
            await self._destroy(one)

    def _open(self, one: Asked) -> None:
        self.verdict.books.sessions.open(one.key, services=one.services)

    async def _destroy(self, one: Asked) -> None:
        await self._until_accepted(lambda: self._any().destroy(one.key))

    def _any(self) -> Server:
        return self.random.choice(self.servers)

    async def _until_accepted(self, ask: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(QUIET_SECONDS):
            while True:
                try:
                    await ask()
                except (*Refused, SQLAlchemyError):
                    self.figures["refusals"] += 1
                    await asyncio.sleep(0.2)
                else:
                    return

    async def _come_to_rest(self, one: Asked) -> None:
        """Ready, or honestly not and then ready when asked once more."""
        server = self._any()
        session = await server.settled(one.key, seconds=QUIET_SECONDS)
        if session["state"] == "ready":
            return
        self.figures["asked_again"] += 1
        missing = [leg for leg in session["legs"] if leg["outcome"] not in ("made", "found", "skipped")]
        if not all(leg["error"] and leg["error"]["next_action"] for leg in missing):
            self.run.fail(f"{one.key.slug} does not say what is missing: {session}")
        await server.ask(one.key, one.services)
        session = await server.settled(one.key, seconds=QUIET_SECONDS)
        if session["state"] != "ready":
            self.run.fail(f"{one.key.slug} is {session['state']} after it was asked for again: {session['legs']}")

    async def _judge(self, asked: list[Asked], wanted: list[Asked]) -> None:
        """One set each on record and at the vendors, once the reaper was there; and it took nothing of anybody's."""
        claimed = {one.app_id: self._on_record(one) for one in wanted}
        before = await inventory(self.verdict.facts)
        if missing := _without(claimed, before):
            self.run.fail(f"on record and not at the vendor: {missing}")
        orphans = _without(before, claimed)
        self.figures["orphans_before_the_reaper"] += _count(orphans)
        swept = await self._any().reap()
        self.figures["removed_by_the_reaper"] += swept["removed"]
        if swept["failed"] or swept["unrecorded"]:
            self.run.fail(f"the reaper: {swept['failed']} failed, {swept['unrecorded']} unrecorded")
        after = await inventory(self.verdict.facts)
        if after != claimed:
            self.run.fail(
                f"claimed and gone: {_without(claimed, after)}; unclaimed and there: {_without(after, claimed)}"
            )
        for one in asked:
            self._is_told(one, ready=one in wanted)

    def _on_record(self, one: Asked) -> dict[str, list[str]]:
        return on_record(self.verdict.books.sessions.by_slug(one.key.slug), one.services)

    def _is_told(self, one: Asked, *, ready: bool) -> None:
        """Each leg came about once, whatever happened, and once more only if a later round was for it; no gap."""
        told = self.verdict.books.events.since(one.key.slug, 0)
        made = Counter[str]()
        for event in told:
            if event.type == "provisioning":  # a VM that took no `.env` failed after all, and is asked for again
                made -= Counter(event.data["legs"])
            elif event.type == "leg.finished":
                made[event.data["leg"]] += event.data["outcome"] in ("made", "found")
        if (ready and made != Counter(one.services)) or [event.seq for event in told] != [*range(1, len(told) + 1)]:
            self.run.fail(f"{one.key.slug} tells {made}")
        if not ready and self.verdict.books.sessions.by_slug(one.key.slug).state != "destroyed":
            self.run.fail(f"{one.key.slug} was destroyed and is not")


Inventory = dict[str, dict[str, list[str]]]


def _without(all_of: Inventory, those: Inventory) -> Inventory:
    """What is in the first and not in the second."""
    found: Inventory = {}
    for app_id, kinds in all_of.items():
        for kind, ids in kinds.items():
            if more := [one for one in ids if one not in those.get(app_id, {}).get(kind, [])]:
                found.setdefault(app_id, {})[kind] = more
    return found


def _count(found: Inventory) -> int:
    return sum(len(ids) for kinds in found.values() for ids in kinds.values())


@asynccontextmanager
async def world(on: Stage, run: Run, *, pause: float) -> AsyncGenerator[World]:
    url = on.cluster.new_database()
    async with Verdict.over(on.stack.facts, url) as verdict:
        more = {"MK0R_LEG_BUDGET_SECONDS": "30", "MK0R_REAP_GRACE_MINUTES": "0", "MK0R_REAP_CAP": "100000"}
        async with servers(on, on.new_folder(), 2, environment(on.stack.facts, verdict, url, **more)) as both:
            random = Random(run.seed)
            killing = Killing(on, both, Random(run.seed), pause=pause)
            made = World(on, verdict, both, killing, random, run)
            try:
                yield made
            finally:
                each = {f"of_{name}": killing.kills[name] for name in TARGETS}
                run.figures |= {"kills": killing.kills.total(), **each, **made.figures}


async def work(run: Run, asked: argparse.Namespace) -> None:
    async with stage() as on, world(on, run, pause=asked.pause) as here:
        done = 0
        while done < run.count:
            size = min(asked.wave, run.count - done)
            await here.wave(size)
            done += size
            run.progress(done, run.count, f"{dict(here.figures)}, {here.killing.kills.total()} kills")


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wave", type=int, default=WAVE, help="sessions asked for before there is quiet")
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between two kills, on average")


if __name__ == "__main__":
    sys.exit(command("chaos", __doc__, work, count=2000, more=more))
