"""What a session costs among 10 others and among 10,000: time, processor, calls, and the server's memory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from agent_loop.cli import server_process
from agent_loop.cli.bench.callers import Asked, Caller, in_turns
from agent_loop.cli.bench.measure import Measure
from agent_loop.cli.bench.saturation import CALLERS
from agent_loop.cli.bench.stage import on_stage

if TYPE_CHECKING:
    from agent_loop.cli.bench.bench import Bench
    from agent_loop.cli.bench.stage import Stage

LEVELS, FULL = (10, 200, 1000), (10, 200, 1000, 3000, 10_000)
ALONE, LOOKS, LISTINGS, BUSY, RESTARTS = 20, 60, 20, 100, 5
AIM_GROWTH, AIM_KIB = 1.2, 8.0
# name: unit. What is better when there is more of it grows by becoming less.
FIGURES = {
    "a session alone": "ms",
    "processor time of a session": "ms",
    "sessions a second": "1/s",
    "calls of a session": "calls",
    "get_session": "ms",
    "get_env": "ms",
    "one session of a listing": "ms",
}
RATE = "sessions a second"
Level = dict[str, Any]


def growth(bench: Bench) -> list[Measure]:
    wanted = bench.levels or (FULL if bench.full else LEVELS)
    levels: list[Level] = []
    asked: list[Asked] = []
    with on_stage(bench.environ) as stage:
        among_none = [_restarted(bench, stage) for _ in range(RESTARTS)]
        for number in wanted:
            bench.say(f"growth: to {number:,} sessions ...")
            asked += asyncio.run(in_turns(stage.client.port, CALLERS, number - len(asked)))
            level: Level = {"sessions": len(asked), "memory": stage.memory()}
            bench.say(f"growth: among {len(asked):,} sessions ...")
            asked += asyncio.run(_among(bench, stage, asked, level))
            levels.append(level)
        among_all = [_restarted(bench, stage) for _ in range(RESTARTS)]
    bench.note("growth", levels)
    return [*_rows(levels), *_ratios(levels), *_memory(levels), *_again(among_none, among_all, len(asked))]


async def _among(bench: Bench, stage: Stage, there: list[Asked], level: Level) -> list[Asked]:
    """Every figure with these sessions there; those it added."""
    port, caller = stage.client.port, Caller(stage.client.port)
    added = await in_turns(port, 1, bench.many(ALONE))
    level["a session alone"] = [(one.ended - one.began) * 1000 for one in added]
    step = max(1, len(there) // bench.many(LOOKS))
    for tool in ("get_session", "get_env"):
        level[tool] = [await _timed(caller.call(tool, {"session_key": one.key})) for one in there[::step]]
    caller.close()
    level["one session of a listing"] = [await _listed(stage) for _ in range(LISTINGS)]
    stage.vendors.calls()
    began, cpu, busy = time.monotonic(), stage.cpu_seconds(), bench.many(BUSY)
    added += await in_turns(port, CALLERS, busy)
    level["sessions a second"] = [busy / (time.monotonic() - began)]
    level["processor time of a session"] = [(stage.cpu_seconds() - cpu) / busy * 1000]
    level["calls of a session"] = [sum(stage.vendors.calls().values()) / busy]
    return added


async def _listed(stage: Stage) -> float:
    """Milliseconds for each session of a listing."""
    began = time.monotonic()
    listed = await asyncio.to_thread(stage.client.get, "/api/sessions")
    return (time.monotonic() - began) * 1000 / len(listed["sessions"])


async def _timed(call: Any) -> float:
    began = time.monotonic()
    await call
    return (time.monotonic() - began) * 1000


def _restarted(bench: Bench, stage: Stage) -> float:
    """Milliseconds from a server's end to the next one's readiness. The stage goes on with that one."""
    bench.say("growth: a restart ...")
    server_process.stop(stage.home, server_process.find(stage.home) or {})
    began = time.monotonic()
    stage.start()
    return (time.monotonic() - began) * 1000


def _rows(levels: list[Level]) -> list[Measure]:
    return [
        Measure(f"{name}, among {level['sessions']:,}", unit, level[name], stood_in="stand-in")
        for name, unit in FIGURES.items()
        for level in (levels[0], levels[-1])
    ]


def _ratios(levels: list[Level]) -> list[Measure]:
    """How many times more each costs among the most than among the fewest."""
    ratios: list[Measure] = []
    for name, unit in FIGURES.items():
        few, most = (Measure(name, unit, level[name]).median for level in (levels[0], levels[-1]))
        grown = few / most if name == RATE else most / few
        ratios.append(Measure(f"growth of {name}", "ratio", [grown], AIM_GROWTH, stood_in="stand-in"))
    return ratios


def kib_per_session(levels: list[Level]) -> float:
    """What one more session adds, between the last two levels: before that, a server still grows its own pools."""
    before, after = levels[-2:]
    return (after["memory"] - before["memory"]) / (after["sessions"] - before["sessions"]) / 1024


def _memory(levels: list[Level]) -> list[Measure]:
    before, after = levels[-2:]
    name = f"the server's memory per live session, {before['sessions']:,} to {after['sessions']:,}"
    return [
        Measure(name, "KiB", [kib_per_session(levels)], AIM_KIB, stood_in="stand-in"),
        Measure(
            f"the server's memory, {after['sessions']:,} sessions",
            "MiB",
            [after["memory"] / 2**20],
            stood_in="stand-in",
        ),
    ]


def _again(among_none: list[float], among_all: list[float], sessions: int) -> list[Measure]:
    none = Measure("a restart among none", "ms", among_none, stood_in="stand-in")
    many = Measure(f"a restart among {sessions:,} sessions", "ms", among_all, stood_in="stand-in")
    ratio = many.median / none.median
    return [none, many, Measure(f"{many.name} over one among none", "ratio", [ratio], AIM_GROWTH, stood_in="stand-in")]
