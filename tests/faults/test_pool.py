"""Servers that keep a pool and die at named points: a sample of the whole sweep, another one each day."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from tests.faults.crash_sweep import sweep
from tests.faults.pool_sweep import cases, run

if TYPE_CHECKING:
    from tests.faults.stage import Stage

SAMPLE = 2


async def test_whatever_dies_each_entry_is_whole_and_handed_out_once(staged: Stage) -> None:
    seed = datetime.now(UTC).toordinal()
    chosen = Random(seed).sample(cases(), SAMPLE)
    assert await sweep(chosen, lambda case: run(case, staged), at_once=2) == [], f"seed {seed}"
