"""Many callers with one key, at real servers: one set of resources, and one answer for all of them.

    python -m tests.faults.callers [--seed S] [--count N] [--at-once K] [--json]

2 to 64 callers a race, two thirds of the races at two servers on one PostgreSQL and one third at one on SQLite.
Most ask for the services over the API; one race in fifty asks for everything, VM included, over MCP, and begins the
session itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from server.local.home import Home
from server.settings import LEGS, SERVICES, LegName
from tests.faults.long_run import Run, at_most, command
from tests.faults.servers import Server, environment, servers
from tests.faults.stage import Stage, stage
from tests.faults.verdict import Verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Mapping

    from server.books.record import SessionKey

Door = Literal["api", "mcp"]
CALLERS = (2, 2, 3, 4, 5, 8, 13, 16, 32, 64)
WITHIN_SECONDS = (0.0, 0.005, 0.05, 0.3)  # how far apart they come
RACE_SECONDS = 120.0
MCP_EVERY = 50


@dataclass(frozen=True)
class Race:
    """How many callers, where, and how far apart they come."""

    number: int
    store: str
    callers: int
    within: float
    door: Door
    seed: int

    @property
    def services(self) -> tuple[LegName, ...]:
        return LEGS if self.door == "mcp" else SERVICES


@dataclass(frozen=True)
class Call:
    """One caller's request."""

    server: int
    began: float
    ended: float
    answer: dict[str, Any]

    def overlaps(self, other: Call) -> bool:
        return self.began < other.ended and other.began < self.ended


def races(seed: int, count: int) -> list[Race]:
    random = Random(seed)
    return [
        Race(
            number,
            "sqlite" if number % 3 == 2 else "postgres",
            random.choice(CALLERS),
            random.choice(WITHIN_SECONDS),
            "mcp" if number % MCP_EVERY == MCP_EVERY - 1 else "api",
            random.randrange(2**32),
        )
        for number in range(count)
    ]


@dataclass(frozen=True)
class Ground:
    """The servers of one store."""

    verdict: Verdict
    servers: list[Server]

    async def run(self, race: Race) -> list[Call]:
        """Raises `AssertionError` unless there is one of everything and one answer."""
        verdict = replace(self.verdict, key=self.verdict.books.sessions.mint())
        if race.door == "api":
            verdict.books.sessions.open(verdict.key, services=race.services)
        random = Random(race.seed)
        try:
            delays = [random.uniform(0, race.within) for _ in range(race.callers)]
            ask = self._over_api if race.door == "api" else self._over_mcp
            calls = [ask(number % len(self.servers), verdict.key, delay) for number, delay in enumerate(delays)]
            made = await asyncio.gather(*calls)
            await self._all_see_the_same(verdict.key, made)
            await verdict.all_stands(race.services)
        finally:
            await verdict.clean_up()
        return made

    async def _over_api(self, at: int, key: SessionKey, delay: float) -> Call:
        await asyncio.sleep(delay)
        began = time.monotonic()
        answer = await self.servers[at].ask(key, SERVICES)
        return Call(at, began, time.monotonic(), answer)

    async def _over_mcp(self, at: int, key: SessionKey, delay: float) -> Call:
        from mcp import Client

        async with Client(f"http://127.0.0.1:{self.servers[at].port}/mcp") as client:
            await asyncio.sleep(delay)
            began = time.monotonic()
            asked = {"session_key": key.reveal(), "wait_seconds": 50}
            answer = await client.call_tool("provision_session", asked)
        assert not answer.is_error, answer
        assert answer.structured_content is not None
        return Call(at, began, time.monotonic(), answer.structured_content)

    async def _all_see_the_same(self, key: SessionKey, calls: list[Call]) -> None:
        """Over MCP at once; over the API, which answers before anything is made, once it has settled."""
        for server in self.servers:
            await server.settled(key)
        if "services" in calls[0].answer:
            answers = await asyncio.gather(*(self.servers[call.server].show(key) for call in calls))
        else:
            answers = [call.answer for call in calls]
        seen = {json.dumps(answer, sort_keys=True) for answer in answers}
        assert len(seen) == 1, seen


@asynccontextmanager
async def grounds(on: Stage) -> AsyncGenerator[Mapping[str, Ground]]:
    async with AsyncExitStack() as closing:
        made: dict[str, Ground] = {}
        for store, count in (("postgres", 2), ("sqlite", 1)):
            folder = on.new_folder()
            home = Home(folder / "server-0")
            home.make()
            url, hosted = on.new_store(store, home.root)
            verdict = await closing.enter_async_context(Verdict.over(on.stack.facts, url))
            # As by default: nobody dies here, and a busy server is not taken for dead.
            settings = {"MK0R_LEG_BUDGET_SECONDS": "60", "MK0R_WORKER_ALIVE_SECONDS": "15"}
            environ = environment(on.stack.facts, verdict, hosted, **settings)
            made[store] = Ground(verdict, await closing.enter_async_context(servers(on, folder, count, environ)))
        yield made


@dataclass
class Interleaving:
    """What shows that the callers did meet."""

    calls: int = 0
    met: int = 0
    """Pairs of one race's requests that were under way at one moment."""
    met_across: int = 0
    """Such pairs at two different servers."""
    raced: int = 0
    """Races in which at least two met."""
    early: int = 0
    """Requests answered while there was still something to be made."""

    def add(self, calls: list[Call]) -> None:
        pairs = [(a, b) for a, b in combinations(calls, 2) if a.overlaps(b)]
        self.calls += len(calls)
        self.met += len(pairs)
        self.met_across += sum(a.server != b.server for a, b in pairs)
        self.raced += bool(pairs)
        self.early += sum(bool(call.answer.get("services")) for call in calls)


async def sweep(chosen: list[Race], on: Stage, run: Run, *, at_once: int) -> Interleaving:
    seen, done = Interleaving(), 0
    async with grounds(on) as made:

        async def one(race: Race) -> None:
            nonlocal done
            try:
                async with asyncio.timeout(RACE_SECONDS):
                    seen.add(await made[race.store].run(race))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is bad
                run.fail(f"{race}: {type(error).__name__}: {error}")
            done += 1
            run.progress(done, len(chosen))

        await at_most(at_once, one, chosen)
    return seen


async def work(run: Run, asked: argparse.Namespace) -> None:
    async with stage() as on:
        seen = await sweep(races(run.seed, run.count), on, run, at_once=asked.at_once)
    run.figures |= {
        "races": run.count,
        "callers": seen.calls,
        "races_in_which_requests_met": seen.raced,
        "pairs_of_requests_that_met": seen.met,
        "of_those_at_two_servers": seen.met_across,
        "requests_before_everything_stood": seen.early,
    }
    if not seen.met_across:
        run.fail("no two requests of a race were ever at two servers at once: nothing was shown")


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--at-once", type=int, default=4, help="races at once")


if __name__ == "__main__":
    sys.exit(command("callers", __doc__, work, count=1000, more=more))
