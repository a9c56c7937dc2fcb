"""A session from the warm pool against one made when it is asked for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from agent_loop.cli.bench.callers import Asked, Caller, at_once
from agent_loop.cli.bench.latencies import SLOW
from agent_loop.cli.bench.measure import Measure
from agent_loop.cli.bench.stage import on_stage

if TYPE_CHECKING:
    from agent_loop.cli.bench.bench import Bench
    from agent_loop.cli.bench.stage import Stage

ENTRIES, AT_ONCE, COLD = 40, 8, 10
AIM_MS, AIM_P99_MS = 12.0, 30.0
FILL_SECONDS = 300.0
# Between two claims: as fast as GitHub's 80 a minute lets the pool be filled again. What is claimed is made anew behind
# it, in the same process, so claims without a pause would wait for the makings of their followers.
PAUSE_SECONDS = 0.75


def claim(bench: Bench) -> list[Measure]:
    entries = bench.many(ENTRIES)
    with on_stage(bench.environ) as stage:
        asyncio.run(at_once(stage.client.port, 4))
        stage.vendors.answer_after(SLOW)
        bench.say("claim: sessions made cold ...")
        cold = asyncio.run(_one_by_one(stage.client.port, bench.many(COLD)))
    with on_stage(bench.environ, settings={"MK0R_POOL_SIZE": str(entries)}) as stage:
        stage.vendors.answer_after(SLOW)
        warm: list[float] = []
        together: list[float] = []
        for number in range(bench.rounds):
            bench.say(f"claim: a pool of {entries} fills, time {number + 1} of {bench.rounds} ...")
            _await_full(stage, entries)
            warm += asyncio.run(_one_by_one(stage.client.port, entries // 2, pause=PAUSE_SECONDS))
            _await_full(stage, entries)
            asked = asyncio.run(at_once(stage.client.port, min(AT_ONCE, entries)))
            together += [(one.ended - one.began) * 1000 for one in asked]
    warmed, colder = Measure("", "ms", warm), Measure("", "ms", cold)
    return [
        Measure("a session made cold, vendors as slow as they are", "ms", cold, stood_in="stand-in"),
        Measure("a claim from the pool", "ms", warm, AIM_MS, stood_in="stand-in"),
        Measure("a claim from the pool, 99 of 100 within", "ms", [warmed.p99], AIM_P99_MS, stood_in="stand-in"),
        Measure(f"a claim from the pool, {AT_ONCE} at once", "ms", together, stood_in="stand-in"),
        Measure(
            "cold over claimed", "ratio", [colder.median / warmed.median], more_is_better=True, stood_in="stand-in"
        ),
    ]


async def _one_by_one(port: int, many: int, *, pause: float = 0.0) -> list[float]:
    """Milliseconds each caller waited, as it saw it."""
    caller, asked = Caller(port), list[Asked]()
    try:
        for _ in range(many):
            asked.append(await caller.provision())
            await asyncio.sleep(pause)
    finally:
        caller.close()
    return [(one.ended - one.began) * 1000 for one in asked]


def _await_full(stage: Stage, entries: int) -> None:
    """Raises `TimeoutError` when the pool does not fill."""
    end = time.monotonic() + FILL_SECONDS
    while stage.client.get("/api/doctor")["pool"].get("ready", 0) < entries:
        if time.monotonic() > end:
            raise TimeoutError("the pool does not fill")
        time.sleep(0.25)
