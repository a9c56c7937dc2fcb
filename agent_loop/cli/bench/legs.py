"""The wall clock over the slowest leg, with vendors as slow as they are: legs side by side cost no more than one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent_loop.cli.bench.book import Told, told_of
from agent_loop.cli.bench.callers import Asked, at_once
from agent_loop.cli.bench.latencies import LATENCY, SLOW
from agent_loop.cli.bench.measure import Measure
from agent_loop.cli.bench.stage import on_stage

if TYPE_CHECKING:
    from agent_loop.cli.bench.bench import Bench

AT_ONCE = {1: 1.02, 10: 1.05, 100: 1.3}
AT_ONCE_AT_TWINS = (1, 10)  # what a hundred real sandboxes cost two cores would hide what the server does


def legs(bench: Bench) -> list[Measure]:
    measures: list[Measure] = []
    with on_stage(bench.environ) as stage:
        asyncio.run(at_once(stage.client.port, 4))  # what is loaded once is no session's
        stage.vendors.answer_after(SLOW)
        for many, aim in AT_ONCE.items():
            pairs: list[tuple[Asked, Told]] = []
            for number in range(bench.rounds if many > 1 else bench.rounds * 3):
                bench.say(f"{many} at once, stand-in vendors, time {number + 1} ...")
                asked = asyncio.run(at_once(stage.client.port, many))
                pairs += zip(asked, told_of(stage.home, [one.slug for one in asked]), strict=True)
            measures += _ratios(pairs, many, aim, "stand-in")
    local = bench.local()
    port = local.server().port
    local.unlimit()
    asyncio.run(at_once(port, 1))
    for latency in LATENCY.values():
        fault = {"method": latency.method, "path": latency.path, "delay_ms": latency.ms}
        local.twin(latency.vendor, "POST", "faults", fault)
    for many in AT_ONCE_AT_TWINS:
        bench.say(f"{many} at once, twins ...")
        asked = asyncio.run(at_once(port, many))
        told = told_of(local.home, [one.slug for one in asked])
        measures += _ratios([*zip(asked, told, strict=True)], many, AT_ONCE[many], "twins")
        bench.destroy(local, asked)
    for vendor in {latency.vendor for latency in LATENCY.values()}:
        local.twin(vendor, "DELETE", "faults")
    return measures


def _ratios(pairs: list[tuple[Asked, Told]], many: int, aim: float, stood_in: str) -> list[Measure]:
    """`.env` is written into the VM when the last leg is over, and so comes on top: it has a row of its own."""
    slowest = [max(told.legs.values()) / 1000 for _, told in pairs]
    to_legs = [(told.last_leg_at - asked.began) / most for (asked, told), most in zip(pairs, slowest, strict=True)]
    to_env = [(told.provisioned_at - asked.began) / most for (asked, told), most in zip(pairs, slowest, strict=True)]
    measures = [
        Measure(f"every leg's outcome over the slowest leg, {many} at once", "ratio", to_legs, aim, stood_in=stood_in),
        Measure(f"the same until .env is in the VM, {many} at once", "ratio", to_env, stood_in=stood_in),
    ]
    if stood_in == "stand-in":
        own = _vendors_own_seconds()
        measures.append(
            Measure(
                f"every leg's outcome over the vendors' own time, {many} at once",
                "ratio",
                [(told.last_leg_at - asked.began) / own for asked, told in pairs],
                stood_in=stood_in,
            )
        )
    return measures


def _vendors_own_seconds() -> float:
    """What the slowest leg cannot take less than: its vendor's answers, one after the other."""
    database = SLOW["Neon create"] + SLOW["Neon operations"]
    mail = SLOW["Resend segment"] + SLOW["Resend key"]
    return max(database, mail, SLOW["E2B create"] + SLOW["VM files"]) / 1000
