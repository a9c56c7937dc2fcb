"""`mk0r bench`: what this costs on this machine, measured side by side, in homes of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_loop.cli.screen import table
from server.errors import BadInput

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.bench.measure import Measure
    from agent_loop.cli.context import Context

HONESTLY = (
    "No vendor was asked. `twins` are local programs that do the real work; the `stand-in` only answers, at once or "
    "as late as a vendor would, so that what is measured in front of it is our own server."
)


def bench(asked: Namespace, context: Context) -> int:
    if asked.draw:
        return _draw(Path(asked.draw), asked.svg, context)
    from agent_loop.cli.bench.bench import Bench
    from agent_loop.cli.bench.machine import machine

    here = machine()
    running = Bench(context.environ, context.errors.line, asked.rounds, asked.full, asked.few, context.home)
    measures = running.measure(_chosen(asked.only))
    told = [measure.as_json() for measure in measures]
    result = {"machine": here, "about": HONESTLY, "measures": told, "notes": running.notes}
    if asked.out:
        Path(asked.out).write_text(json.dumps(result, indent=1) + "\n")
    if asked.json:
        print(json.dumps(result))
    else:
        _print(measures, here, running.notes, context)
    return 0


def _chosen(only: str | None) -> list[str]:
    from agent_loop.cli.bench.bench import PARTS

    asked = [name.strip() for name in only.split(",")] if only else [*PARTS]
    if unknown := [name for name in asked if name not in PARTS]:
        raise BadInput(f"There is nothing called {', '.join(unknown)}.", next_action=f"Choose from {', '.join(PARTS)}.")
    return [name for name in PARTS if name in asked]


def _draw(results: Path, svg: str | None, context: Context) -> int:
    from agent_loop.cli.bench.draw import drawn

    try:
        picture = drawn(json.loads(results.read_text()))
    except (ValueError, LookupError):
        raise BadInput(
            f"{results} holds no growth.", next_action="Make it with `mk0r bench --only growth --out FILE`."
        ) from None
    if svg:
        Path(svg).write_text(picture)
        context.screen.line(svg)
    else:
        print(picture)
    return 0


def _print(measures: list[Measure], here: dict[str, Any], notes: dict[str, Any], context: Context) -> None:
    from agent_loop.cli.bench.machine import sentence
    from agent_loop.cli.bench.measure import told

    rows: list[tuple[str, ...]] = [("MEASURED HERE", "UNIT", "MEDIAN", "LEAST", "MOST", "N", "AIM", "", "VENDORS")]
    for one in measures:
        numbers = (told(number, one.unit) for number in (one.median, min(one.samples), max(one.samples)))
        aim = "" if one.aim is None else f"{'≥' if one.more_is_better else '≤'} {told(one.aim, one.unit)}"
        light = "" if one.reached is None else context.screen.mark(one.reached)
        rows.append((one.name, one.unit, *numbers, str(len(one.samples)), aim, light, one.stood_in))
    for line in table(rows):
        context.screen.line(line)
    for name in ("saturation over each limit", "calls of one session"):
        if name in notes:
            said = ", ".join(f"{what} {number}" for what, number in notes[name].items())
            context.screen.line(f"{name}: {said}.")
    context.screen.line(sentence(here))
    context.screen.line(HONESTLY)
