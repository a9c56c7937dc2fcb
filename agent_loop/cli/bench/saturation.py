"""Sessions a second when more are wanted than can be made, against what the vendors allow."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from agent_loop.cli.bench.callers import in_turns
from agent_loop.cli.bench.measure import Measure
from agent_loop.cli.bench.stage import on_stage

if TYPE_CHECKING:
    from agent_loop.cli.bench.bench import Bench
    from agent_loop.cli.bench.stage import Stage

CALLERS = 16
PER_ROUND, WARM_UP = 150, 32
TIMES = 30
# Sessions a second each vendor's limit leaves room for.
IN_A_BURST = {"E2B 1/s": 1.0, "Resend 2/s, 2 calls a session": 1.0, "GitHub 80/min": 80 / 60}
LIMITS = {"GitHub 500/h": 500 / 3600, **IN_A_BURST}


def saturation(bench: Bench) -> list[Measure]:
    with on_stage(bench.environ) as stage:
        rates, spent = measured(bench, stage)
    rate = sorted(rates)[len(rates) // 2]
    bench.note("saturation over each limit", {name: round(rate / limit, 1) for name, limit in LIMITS.items()})
    return [
        Measure("sessions a second at saturation", "1/s", rates, stood_in="stand-in"),
        _over("the tightest limit, GitHub's 500 an hour", rates, min(LIMITS.values())),
        _over("the tightest in a burst, E2B's 1 a second", rates, min(IN_A_BURST.values())),
        Measure("the server's processor time per session", "ms", spent, stood_in="stand-in"),
    ]


def _over(limit: str, rates: list[float], allowed: float) -> Measure:
    times = [rate / allowed for rate in rates]
    return Measure(f"saturation over {limit}", "times", times, TIMES, more_is_better=True, stood_in="stand-in")


def measured(bench: Bench, stage: Stage, *, per_round: int | None = None) -> tuple[list[float], list[float]]:
    """Sessions a second, and milliseconds of the server's processor time for each, of every round."""
    port, rates, spent = stage.client.port, list[float](), list[float]()
    asyncio.run(in_turns(port, CALLERS, WARM_UP))
    wanted = per_round or bench.many(PER_ROUND)
    for number in range(bench.rounds):
        bench.say(f"{wanted} sessions by {CALLERS} callers, time {number + 1} of {bench.rounds} ...")
        began, cpu = time.monotonic(), stage.cpu_seconds()
        asyncio.run(in_turns(port, CALLERS, wanted))
        rates.append(wanted / (time.monotonic() - began))
        spent.append((stage.cpu_seconds() - cpu) / wanted * 1000)
    return rates, spent
