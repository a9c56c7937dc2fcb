"""Kill the server at every named point, start it again, and count what the vendors have.

    python -m tests.faults.crash_sweep [--sample N] [--seed S] [--points PREFIX] [--at-once K]

Every point, in both kinds of database, in three orders: the server just starts again; the caller asks again as
well; two servers start at once. In PostgreSQL a fourth: the server is only stopped, another takes over, and then
it wakes. Whoever comes after a death is a newer release, which finishes what the older began. Each must end with
exactly one of every resource, on record and in use.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal, TypeVar

from server import crash
from server.settings import LEGS, LegName
from tests.faults.lives import KILLED
from tests.faults.long_run import at_most
from tests.faults.stage import stage
from tests.faults.stores import STORES
from tests.faults.verdict import Verdict
from tests.faults.worker import Plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from server.local.facts import StackFacts
    from tests.faults.lives import Lives
    from tests.faults.stores import Cluster

C = TypeVar("C")
Order = Literal["restart", "ask again", "two at once", "wakes"]
ORDERS: dict[str, tuple[Order, ...]] = {
    "sqlite": ("restart", "ask again"),  # it has one server: a lock sees to it
    "postgres": ("restart", "ask again", "two at once", "wakes"),
}
TWICE = ("mail.posting", "mail.posted")  # the segment, then the key
LOOKING = ("looking", "found", "replacing")
REMOVING = ("removing", "removed", "asked")
OF_A_LOSS = ("vm.lost", "vm.restored")
ALSO_IN_A_LOSS = (
    *(f"vm.{point}" for point in ("intended", "looking", "created", "furnished", "made", "recording", "recorded")),
    *("env.writing", "env.written", "round.finishing", "round.finished"),
)
IN_THE_MIDDLE = ("posting", "created", "segment", "intended")  # something is sent right after these


@dataclass(frozen=True)
class Case:
    """One death, and what comes after it."""

    point: str
    store: str
    order: Order
    occasion: int = 1
    after_ms: int = 0
    replaces: bool = False
    """Whether it comes while a VM that is gone is being replaced."""

    @property
    def leg(self) -> LegName | None:
        name = self.point.partition(".")[0]
        return next((leg for leg in LEGS if leg == name), None)

    @property
    def services(self) -> list[LegName]:
        """The point's own leg, or all of them together when the caller asks again."""
        if self.order == "ask again":
            return [*LEGS]
        if self.replaces:
            return ["git", "vm"]
        return [self.leg] if self.leg else ["analytics", "vm"]

    @property
    def removes(self) -> bool:
        return self.point.endswith(REMOVING) or self.point.startswith("end.")


def cases(seed: int) -> list[Case]:
    """Every one. The seed chooses when, in the middle of a request, some of the deaths come."""
    random = Random(seed)
    found = [
        Case(point, store, order, occasion)
        for point in crash.POINTS
        if point not in crash.OF_THE_POOL  # they have a sweep of their own
        for store in STORES
        for order in ORDERS[store]
        for occasion in ((1, 2) if point in TWICE else (1,))
        if point not in OF_A_LOSS
    ]
    found += [
        Case(point, store, order, replaces=True)
        for point in (*OF_A_LOSS, *ALSO_IN_A_LOSS)
        for store in STORES
        for order in ORDERS[store]
    ]
    return found + [
        replace(case, after_ms=random.randint(1, 60))
        for case in found
        if case.point.endswith(IN_THE_MIDDLE) and case.order != "wakes"
    ]


@dataclass(frozen=True)
class Sweep:
    """What all cases share."""

    facts: StackFacts
    stack_file: Path
    cluster: Cluster
    lives: Lives
    folder: Path

    async def run(self, case: Case) -> None:
        """Raises `AssertionError` when something is lost, doubled, or not what it is said to be."""
        home = Path(tempfile.mkdtemp(dir=self.folder))
        url = self.cluster.new_database() if case.store == "postgres" else None
        async with Verdict.over(self.facts, url or f"sqlite:///{home / 'mk0r.sqlite'}") as verdict:
            plans = Plans(case, self.stack_file, home, url, verdict)
            for plan in plans.before():
                await self._life(plan, expected=KILLED if plan.stop_at else 0)
            if case.order == "wakes":
                await self._asleep(plans)
            else:
                await self._life(plans.death(), expected=KILLED if not case.after_ms else None)
                await asyncio.gather(*(self._life(plan, expected=0) for plan in plans.after()))
            if case.removes:
                await verdict.nothing_is_left(LEGS)
            else:
                await verdict.all_stands(case.services, replaced=case.replaces)
            await verdict.clean_up()

    async def _asleep(self, plans: Plans) -> None:
        """Stopped, overtaken, woken. How the sleeper ends is its own affair: its connections may be gone."""
        sleeper = await self.lives.begin(plans.death())
        await sleeper.until_stopped()
        for plan in plans.after():
            await self._life(plan, expected=0)
        sleeper.wake()
        await sleeper.end(90)

    async def _life(self, plan: Plan, *, expected: int | None) -> None:
        life = await self.lives.begin(plan)
        status = await life.end(90)
        if expected is not None and status != expected:
            said = life.log.read_text()[-3000:] if life.log.exists() else ""
            raise AssertionError(f"a life ended with {status}, not {expected}, at {plan.stop_at!r}:\n{said}")


class Plans:
    """The lives of one case, in order."""

    def __init__(self, case: Case, stack_file: Path, home: Path, url: str | None, verdict: Verdict) -> None:
        self._case = case
        self._stack_file = stack_file
        self._home = home
        self._url = url
        self._verdict = verdict

    def before(self) -> Iterable[Plan]:
        """What has to have happened so that the point is reached."""
        if self._case.removes:
            yield self._plan()
        elif self._case.replaces:
            yield self._plan(push=True)
        elif self._case.point.endswith(LOOKING):
            yield self._plan(stop_at=f"{self._case.leg}.made")

    def death(self) -> Plan:
        case = self._case
        fatal: dict[str, object] = {"stop_at": case.point, "occasion": case.occasion, "after_ms": case.after_ms}
        fatal["asleep"] = case.order == "wakes"
        loss = {"lose_vm": case.replaces, "use_vm": case.replaces}
        return self._plan(destroy=case.removes, ask=not case.removes and not case.replaces, **loss, **fatal)

    def after(self) -> list[Plan]:
        asks = self._case.order == "ask again"
        servers = 2 if self._case.order == "two at once" else 1
        if self._case.removes:
            return [self._plan(ask=False, destroy=asks, newer=True) for _ in range(servers)]
        if self._case.replaces:
            return [self._plan(ask=False, use_vm=asks, newer=True) for _ in range(servers)]
        return [self._plan(ask=asks, newer=True) for _ in range(servers)]

    def _plan(self, **changes: object) -> Plan:
        plan: dict[str, object] = {
            "stack_file": str(self._stack_file),
            "home": str(self._home),
            "result": str(self._home / "result.json"),
            "database_url": self._url,
            "secret_key": self._verdict.secret_key,
            "session_key": self._verdict.key.reveal(),
            "services": self._case.services,
            **changes,
        }
        return Plan(**plan)  # type: ignore[arg-type]


async def sweep(chosen: list[C], run: Callable[[C], Awaitable[None]], *, at_once: int) -> list[tuple[C, str]]:
    """Run them; the violations found."""
    bad: list[tuple[C, str]] = []
    done = 0

    async def one(case: C) -> None:
        nonlocal done
        try:
            await run(case)
        except (AssertionError, TimeoutError, OSError) as error:
            bad.append((case, f"{type(error).__name__}: {error}"))
        done += 1
        if sys.stderr.isatty() or done % 25 == 0:
            print(f"{done} of {len(chosen)}, {len(bad)} bad", file=sys.stderr)  # noqa: T201

    await at_most(at_once, one, chosen)
    return bad


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", default="")
    parser.add_argument("--at-once", type=int, default=3)
    asked = parser.parse_args()
    chosen = [case for case in cases(asked.seed) if case.point.startswith(asked.points)]
    if asked.sample:
        chosen = Random(asked.seed).sample(chosen, min(asked.sample, len(chosen)))
    began = time.monotonic()
    async with stage() as on:
        shared = Sweep(on.stack.facts, on.stack.home.stack_file, on.cluster, on.lives, on.folder)
        bad = await sweep(chosen, shared.run, at_once=asked.at_once)
    for case, why in bad:
        print(f"{case}\n  {why}")  # noqa: T201
    points = len({(case.point, case.occasion) for case in chosen})
    print(f"{len(chosen)} deaths at {points} points, {time.monotonic() - began:.0f} s, seed {asked.seed}")  # noqa: T201
    print(f"{len(chosen) - len(bad)} passed, {len(bad)} failed")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
