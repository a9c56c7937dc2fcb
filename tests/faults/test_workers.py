"""Two real servers of which one dies or sleeps in the middle of a vendor's call: a sample, another one each day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.faults.long_run import Run
from tests.faults.workers import cases, sweep

if TYPE_CHECKING:
    from tests.faults.stage import Stage


async def test_another_server_finishes_and_there_is_one_of_everything(staged: Stage) -> None:
    """The first only sleeps, so that the second case needs no new server."""
    run = Run("workers", datetime.now(UTC).toordinal(), 2)
    every = cases(run.seed)
    asleep = next(case for case in every if case.fate == "asleep")
    killed = next(case for case in every if case.fate != "asleep")
    await sweep([asleep, killed], staged, run)
    assert run.bad == [], f"seed {run.seed}"
