"""Services up and down, fast, slow and hung: a sample of all combinations, another one each day."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from server.settings import LEGS
from tests.faults.combinations import MANNERS, cases, sweep
from tests.faults.long_run import Run

if TYPE_CHECKING:
    from tests.faults.stage import Stage

SAMPLE = 1


async def test_a_session_has_exactly_what_is_up_and_the_rest_when_asked_again(staged: Stage) -> None:
    run = Run("combinations", datetime.now(UTC).toordinal(), SAMPLE)
    await sweep(Random(run.seed).sample(cases(run.seed), SAMPLE), staged, run)
    assert run.bad == [], f"seed {run.seed}"


def test_no_combination_is_left_out() -> None:
    assert len({(case.down, case.manner, case.store) for case in cases(1)}) == 2 ** len(LEGS) * len(MANNERS) * 2
