"""The leg's time: it ends what is awaited in it, even what loses a cancellation, and stands still in a queue."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.legs.deadline import patience, queue_until, seconds_left, within


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


async def test_a_wait_that_is_known_beforehand_does_not_count() -> None:
    heard: list[float] = []
    now = asyncio.get_running_loop().time()
    async with within(0.01, queue_seconds=50, queued=heard.append):
        assert patience() == 50
        queue_until(now + 30)
        queue_until(now + 20)
        assert 29 < seconds_left() <= 30.01
        await asyncio.sleep(0.02)  # past what was its end
        assert patience() > 29, "what is left of the time will do too"
        assert patience() == pytest.approx(50, abs=1), "what is granted is not granted again"
        queue_until(now + 55)
        assert seconds_left() <= 30, "it stands still for no longer than it may"
    assert heard == [pytest.approx(30, abs=1)]


async def test_a_prolonged_time_still_ends() -> None:
    async def queue_and_hang() -> None:
        async with within(0.01, queue_seconds=1):
            queue_until(asyncio.get_running_loop().time() + 0.02)
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        await queue_and_hang()
