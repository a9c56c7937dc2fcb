"""Two real servers on one PostgreSQL: one dies, or sleeps past its heartbeat, in the middle of a vendor call.

    python -m tests.faults.workers [--seed S] [--count N] [--json]

The other must finish what was begun, over its own HTTP door, without doing again what had already ended; and there
must be one of everything, also when the dead server's request reaches the vendor after that, and when the one that
slept wakes and finds itself overtaken.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle, islice
from random import Random
from typing import TYPE_CHECKING, Literal

from server.ending import Ending
from server.reaper import Reaper
from server.settings import LEGS, VENDOR_OF, LegName
from tests.faults.long_run import Run, command
from tests.faults.servers import Server, environment, servers
from tests.faults.stage import Stage, stage
from tests.faults.vendors import on_record, standing
from tests.faults.verdict import Verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Awaitable, Callable

Fate = Literal["killed", "killed, its request late", "asleep"]
FATES: tuple[Fate, ...] = ("asleep", "killed", "killed, its request late")
CREATES: dict[LegName, list[str]] = {
    "database": ["/api/v2/projects"],
    "mail": ["/segments", "/api-keys"],
    "git": ["/user/repos|/orgs/[^/]+/repos"],
    "vm": ["/v2/sandboxes"],
}
BARRIER = "in the middle"
BOUND_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """What becomes of the server that is just in this call."""

    fate: Fate
    leg: LegName
    path: str


def cases(seed: int) -> list[Case]:
    """All, in the seed's order."""
    found = [Case(fate, leg, path) for fate in FATES for leg, paths in CREATES.items() for path in paths]
    return Random(seed).sample(found, len(found))


@dataclass(frozen=True)
class Pair:
    """Two servers and the books they share."""

    on: Stage
    verdict: Verdict
    first: Server
    second: Server

    async def run(self, case: Case) -> None:
        """Raises `AssertionError` when something is lost, doubled, done again, or not what is said."""
        verdict = replace(self.verdict, key=self.verdict.books.sessions.mint())
        services: list[LegName] = [case.leg, *(name for name in LEGS if name not in (case.leg, "vm"))]
        verdict.books.sessions.open(verdict.key, services=tuple(services))
        vendor = VENDOR_OF[case.leg]
        await self.on.stack.fault(vendor, method="POST", path=case.path, hold=BARRIER, times=1)
        try:
            await self.first.ask(verdict.key, services)
            await _until(lambda: self._waits(vendor))
            await _until(lambda: _others_have_ended(verdict, case.leg))
            await self._meets(case, verdict)
            _nothing_was_done_again(verdict, case.leg)
            await verdict.all_stands(services)
        finally:
            await self.on.stack.heal()
            await verdict.clean_up()

    async def _meets(self, case: Case, verdict: Verdict) -> None:
        """The first server meets its fate; returns when whoever is left has come to rest."""
        vendor = VENDOR_OF[case.leg]
        if case.fate == "asleep":
            assert self.first.life
            self.first.life.stop()
        else:
            await self.first.kill()
        if case.fate == "killed":
            await self._release(vendor)
        shown = await self.second.settled(verdict.key)
        assert shown["state"] == "ready", shown
        if case.fate == "killed":
            return
        await self._release(vendor)
        if case.fate == "asleep":
            assert self.first.life
            self.first.life.wake()
            await _until(lambda: _has_one_of_each(verdict, case.leg))
            assert await self.first.show(verdict.key) == await self.second.show(verdict.key)
        else:
            await _until(lambda: self._nobody_waits(vendor))
            await self._reap(verdict)

    async def _reap(self, verdict: Verdict) -> None:
        """What the dead server's late request made has nobody who would give way; that is what the reaper is for."""
        ending = Ending(verdict.books, verdict.legs, budget_seconds=20)
        reaper = Reaper(verdict.books, verdict.legs, ending, grace=timedelta(0), cap=100)
        await _until(lambda: _swept(reaper))

    async def _waits(self, vendor: str) -> bool:
        return bool((await self.on.stack.twin(vendor, "GET", "held"))["held"])

    async def _nobody_waits(self, vendor: str) -> bool:
        return not await self._waits(vendor)

    async def _release(self, vendor: str) -> None:
        await self.on.stack.twin(vendor, "POST", "release", {"name": BARRIER})

    async def both_live(self) -> None:
        """Start again whichever died."""
        for server in (self.first, self.second):
            if not server.is_running:
                await server.start()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not await holds():  # noqa: ASYNC110 - other programs say so
            await asyncio.sleep(0.02)


async def _others_have_ended(verdict: Verdict, leg: LegName) -> bool:
    session = verdict.session
    return all(other.outcome != "pending" for other in session.legs if other.name != leg)


async def _has_one_of_each(verdict: Verdict, leg: LegName) -> bool:
    return await standing(verdict.facts, verdict.session.app_id, [leg]) == on_record(verdict.session, [leg])


async def _swept(reaper: Reaper) -> bool:
    """Sweep until there is nothing: a late request may be under way for another moment."""
    return (await reaper.sweep(apply=True)).orphans == []


def _nothing_was_done_again(verdict: Verdict, leg: LegName) -> None:
    """What was in the middle was begun twice; what had ended was not begun again."""
    told = verdict.books.events.since(verdict.key.slug, 0)
    began, ended = (
        [(event.seq, event.data["leg"]) for event in told if event.type == kind]
        for kind in ("leg.started", "leg.finished")
    )
    assert [name for _, name in began].count(leg) > 1, began
    again = [name for seq, name in began if any(name == other and seq > end for end, other in ended)]
    assert again == [], (began, ended)


@asynccontextmanager
async def pair(on: Stage) -> AsyncGenerator[Pair]:
    folder = on.new_folder()
    url = on.cluster.new_database()
    async with Verdict.over(on.stack.facts, url) as verdict:
        environ = environment(on.stack.facts, verdict, url, MK0R_LEG_BUDGET_SECONDS="60")
        async with servers(on, folder, 2, environ) as (first, second):
            yield Pair(on, verdict, first, second)


async def sweep(chosen: list[Case], on: Stage, run: Run) -> None:
    """One after the other, each with both servers up."""
    async with pair(on) as both:
        for done, case in enumerate(chosen, 1):
            try:
                await both.both_live()
                await both.run(case)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is bad
                run.fail(f"{case}: {type(error).__name__}: {error}")
            run.progress(done, len(chosen))


async def work(run: Run, _asked: argparse.Namespace) -> None:
    chosen = [*islice(cycle(cases(run.seed)), run.count)]
    async with stage() as on:
        await sweep(chosen, on, run)
    run.figures |= {"cases": len(chosen), **Counter(case.fate for case in chosen)}


if __name__ == "__main__":
    sys.exit(command("workers", __doc__, work, count=3 * len(cases(1))))
