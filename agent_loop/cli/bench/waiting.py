"""How long a person waits: the stack's start, and a build from the prompt to the finished rehearsal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_loop.cli.bench.measure import Measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_loop.cli.bench.bench import Bench
    from agent_loop.cli.client import Client

IDEA = "a run tracker that saves my runs"


@dataclass(frozen=True)
class Build:
    """One build, in milliseconds from the request to what the person then saw."""

    provision: float
    slowest_leg: float
    skeleton: float
    finished: float


def waiting(bench: Bench) -> list[Measure]:
    bench.say("first start: PostgreSQL, the template and the twins are prepared ...")
    local = bench.local(fresh=True)
    cold = _timed(local.server)
    warm: list[float] = []
    for number in range(bench.rounds):
        bench.say(f"start {number + 1} of {bench.rounds} ...")
        local.end()
        warm.append(_timed(local.server))
    local.unlimit()
    builds: list[Build] = []
    for number in range(bench.rounds):
        bench.say(f"build {number + 1} of {bench.rounds} ...")
        builds.append(_build(local.server()))
    return [
        Measure("stack, first start", "ms", [cold]),
        Measure("stack, later start", "ms", warm),
        Measure("provisioning in a build", "ms", [b.provision for b in builds]),
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


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000
