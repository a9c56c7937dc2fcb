"""What surviving a crash costs: the same story with the workflow engine's journal and without it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent_loop.cli.bench.callers import at_once
from agent_loop.cli.bench.latencies import SLOW
from agent_loop.cli.bench.measure import Measure
from agent_loop.cli.bench.saturation import measured
from agent_loop.cli.bench.stage import BY_DEFAULT, WITHOUT_JOURNAL, on_stage

if TYPE_CHECKING:
    from agent_loop.cli.bench.bench import Bench

ALONE = 8


def durability(bench: Bench) -> list[Measure]:
    measures: list[Measure] = []
    walls: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}
    slow: dict[str, list[float]] = {}
    for told, module in (("with the journal", BY_DEFAULT), ("without it", WITHOUT_JOURNAL)):
        with on_stage(bench.environ, module=module) as stage:
            bench.say(f"durability, {told} ...")
            asyncio.run(at_once(stage.client.port, 4))
            walls[told] = _walls(bench, stage.client.port)
            _, spent[told] = measured(bench, stage)
            stage.vendors.answer_after(SLOW)
            slow[told] = _walls(bench, stage.client.port)
        measures += [
            Measure(f"a session, {told}, vendors that answer at once", "ms", walls[told], stood_in="stand-in"),
            Measure(f"a session, {told}, vendors as slow as they are", "ms", slow[told], stood_in="stand-in"),
            Measure(f"processor time of a session, {told}", "ms", spent[told], stood_in="stand-in"),
        ]
    for name, both in (("processor time", spent), ("wall, vendors as slow as they are", slow)):
        with_it, without = (Measure("", "", both[told]).median for told in ("with the journal", "without it"))
        share = 100 * (with_it - without) / with_it
        measures.append(Measure(f"the journal's share of the {name}", "%", [share], stood_in="stand-in"))
    return measures


def _walls(bench: Bench, port: int) -> list[float]:
    """Milliseconds, as their callers saw it, of sessions one after the other."""
    asked = [asyncio.run(at_once(port, 1))[0] for _ in range(bench.many(ALONE))]
    return [(one.ended - one.began) * 1000 for one in asked]
