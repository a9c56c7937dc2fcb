"""How often a new session asks the vendors for something, counted by the twins."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from agent_loop.cli.bench.callers import at_once
from agent_loop.cli.bench.measure import Measure

if TYPE_CHECKING:
    from agent_loop.cli.bench.bench import Bench

VENDORS = ("neon", "resend", "posthog", "github", "e2b")
NOTHING_WRONG = {"path": "/(?!_twin/).*"}
"""A fault without an effect: the twin notes every request that meets it."""
AIM = 6
# What goes into the session's own VM is no call to a vendor's API, and counts against none of its limits.
INTO_THE_VM = ("/files", "/process.Process/", "/filesystem.Filesystem/", "/health")


def calls(bench: Bench) -> list[Measure]:
    local = bench.local()
    port = local.server().port
    local.unlimit()
    asyncio.run(at_once(port, 1))  # what a server asks once in its life is not a session's
    counted: list[Counter[str]] = []
    for number in range(bench.rounds):
        bench.say(f"calls of session {number + 1} of {bench.rounds} ...")
        for vendor in VENDORS:
            local.twin(vendor, "DELETE", "faults")
            local.twin(vendor, "POST", "faults", NOTHING_WRONG)
        asyncio.run(at_once(port, 1))
        met: list[dict[str, Any]] = []
        for vendor in VENDORS:
            met += [each | {"vendor": vendor} for each in local.twin(vendor, "GET", "faults/met")["met"]]
            local.twin(vendor, "DELETE", "faults")
        counted.append(Counter(_kind(each) for each in met))
    bench.note("calls of one session", dict(counted[-1]))
    totals = [float(sum(n for kind, n in each.items() if kind != "VM")) for each in counted]
    into = [float(each["VM"]) for each in counted]
    return [
        Measure("vendor calls per session", "calls", totals, aim=AIM),
        Measure("requests into its own VM", "calls", into),
    ]


def _kind(met: dict[str, Any]) -> str:
    return "VM" if met["path"].startswith(INTO_THE_VM) else met["vendor"]
