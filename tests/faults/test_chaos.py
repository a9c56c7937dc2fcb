"""A small wave of sessions while everything dies; another one each day."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.faults.chaos import world
from tests.faults.long_run import Run
from tests.faults.stage import stage

SIZE = 8


async def test_what_was_asked_for_while_everything_died_stands_once_and_nothing_else_does() -> None:
    """On a stage of its own: nobody else's vendors are killed."""
    run = Run("chaos", datetime.now(UTC).toordinal(), SIZE)
    async with stage() as on, world(on, run, pause=1.0) as here:
        await here.wave(SIZE)
        assert here.killing.kills.total() > 0
    assert run.bad == [], f"seed {run.seed}"
