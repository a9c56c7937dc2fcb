"""Hostile answers and network faults: a sample of the whole matrix, another one each day."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from tests.faults.hostile import ANSWERS, NETWORK
from tests.faults.matrix import CALLS, HEAVY, cells, matrix

SAMPLE = 120


async def test_every_bad_end_is_typed_in_time_and_without_an_echo() -> None:
    seed = datetime.now(UTC).toordinal()
    chosen = Random(seed).sample([cell for cell in cells() if cell not in HEAVY], SAMPLE)
    assert await matrix(chosen, at_once=20) == [], f"seed {seed}"


def test_the_matrix_is_as_large_as_it_says() -> None:
    assert len(ANSWERS) >= 24
    assert len(NETWORK) >= 8
    assert len(CALLS) >= 24
