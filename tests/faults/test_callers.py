"""Callers with one key who race: a sample, other ones each day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.faults.callers import races, sweep
from tests.faults.long_run import Run

if TYPE_CHECKING:
    from tests.faults.stage import Stage

SAMPLE = 6


async def test_callers_with_one_key_get_one_set_and_one_answer(staged: Stage) -> None:
    run = Run("callers", datetime.now(UTC).toordinal(), SAMPLE)
    seen = await sweep(races(run.seed, SAMPLE), staged, run, at_once=3)
    assert run.bad == [], f"seed {run.seed}"
    assert seen.met_across > 0
