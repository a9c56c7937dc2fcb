"""The leg's time: it ends what is awaited in it, even what loses a cancellation."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.legs.retry import seconds_left, within


async def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError):
        async with within(0.01):
            await asyncio.sleep(10)


async def test_a_cancellation_that_got_lost_is_sent_again() -> None:
    lost = 0

    async def forgetful() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()  # the runner of the tests is the task, and it may carry some
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with within(0.01):
            await forgetful()
    assert lost == 3
    assert time.monotonic() - began < 5
    assert task.cancelling() == before


async def test_somebody_elses_cancellation_is_not_taken_for_the_times() -> None:
    async def work() -> None:
        async with within(10):
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_left_is_known_inside() -> None:
    outside = seconds_left()
    async with within(100):
        assert 99 < seconds_left() <= 100
        async with within(5):
            assert seconds_left() <= 5
        assert seconds_left() > 90
    assert seconds_left() == outside
