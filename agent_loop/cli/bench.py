"""`mk0r bench`: how long a person waits, measured side by side on this machine, in a home of its own."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_loop.cli import server_process
from agent_loop.cli.screen import table
from server.local.home import Home

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from agent_loop.cli.client import Client
    from agent_loop.cli.context import Context

IDEA = "a run tracker that saves my runs"


@dataclass(frozen=True)
class Measure:
    """One row: what was measured, its unit, and every sample in the order taken."""

    name: str
    unit: str
    samples: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass(frozen=True)
class Build:
    """One build, in milliseconds from the request to what the person then saw."""

    provision: float
    slowest_leg: float
    skeleton: float
    finished: float


def bench(asked: Namespace, context: Context) -> int:
    folder = Path(tempfile.mkdtemp(prefix="mk0r-bench-"))
    home = Home(folder / "home")
    try:
        measures = _measured(home, asked.rounds, context)
    finally:
        _end(home)
        shutil.rmtree(home.stack, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    result = {"measures": [{**asdict(m), "median": m.median} for m in measures]}
    if asked.out:
        Path(asked.out).write_text(json.dumps(result, indent=1) + "\n")
    if asked.json:
        print(json.dumps(result))
    else:
        _print(measures, context)
    return 0


def _measured(home: Home, rounds: int, context: Context) -> list[Measure]:
    context.errors.line("first start: PostgreSQL, the template and the twins are prepared ...")
    cold = _timed(lambda: _server(home, context))
    warm: list[float] = []
    for number in range(rounds):
        context.errors.line(f"start {number + 1} of {rounds} ...")
        _end(home)
        warm.append(_timed(lambda: _server(home, context)))
    builds: list[Build] = []
    for number in range(rounds):
        context.errors.line(f"build {number + 1} of {rounds} ...")
        builds.append(_build(_server(home, context)))
    return [
        Measure("stack, first start", "ms", [cold]),
        Measure("stack, later start", "ms", warm),
        Measure("provisioning", "ms", [b.provision for b in builds]),
        Measure("provisioning over its slowest leg", "ratio", [b.provision / b.slowest_leg for b in builds]),
        Measure("prompt to skeleton", "ms", [b.skeleton for b in builds]),
        Measure("prompt to finished rehearsal", "ms", [b.finished for b in builds]),
    ]


def _build(client: Client) -> Build:
    """One whole build; the session is removed when it was measured."""
    began = time.monotonic()
    slug: str = client.post("/api/sessions", {"idea": IDEA})["slug"]
    seen: dict[str, float] = {}
    told: dict[str, Any] = {}
    legs: list[float] = []
    for event in client.events(slug):
        seen.setdefault(event.type, (time.monotonic() - began) * 1000)
        told[event.type] = event.data
        if event.type == "leg.finished":
            legs.append(event.data["ms"])
    client.delete(f"/api/sessions/{slug}")
    return Build(told["provisioned"]["ms"], max(legs), seen["preview.ready"], seen["run.finished"])


def _server(home: Home, context: Context) -> Client:
    return server_process.ensure(home, context.environ, tell=lambda _: None, say=lambda _: None)


def _end(home: Home) -> None:
    import asyncio

    from server.local import stack

    if server := server_process.find(home):
        server_process.stop(home, server)
    asyncio.run(stack.down(home))


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000


def _print(measures: list[Measure], context: Context) -> None:
    rows: list[tuple[str, ...]] = [("MEASURED HERE", "MEDIAN", "LEAST", "MOST", "SAMPLES")]
    for measure in measures:
        numbers = (measure.median, min(measure.samples), max(measure.samples))
        told = [f"{n:.2f}" if measure.unit == "ratio" else f"{n:.0f} ms" for n in numbers]
        rows.append((measure.name, *told, str(len(measure.samples))))
    for line in table(rows):
        context.screen.line(line)
