"""What the watch over a sandbox's disk ends, and what it leaves alone: the sandbox's sizes are the test's."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from server.twins.e2b.meter import Meter, Watched
from server.twins.e2b.notices import Notices
from server.twins.e2b.shares import Shares

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MB = 1 << 20
SHARES = Shares(disk=64 * MB, files=100, pause=0.001)
LOOKS = 8


@pytest.fixture
async def keeper() -> AsyncIterator[int]:
    """A process that has none below it."""
    process = await asyncio.create_subprocess_exec("sleep", "600")
    yield process.pid
    process.kill()
    await process.wait()


async def times_ended(folder: Path, keeper: int, *sizes: tuple[int, int]) -> int:
    """How often everything was ended while the sandbox kept these megabytes and files, the last of them to the end."""
    left, ended, seen = [*sizes], 0, asyncio.Event()

    async def measure(_folder: Path) -> list[int]:
        size, files = left.pop(0) if len(left) > 1 else left[0]
        looks.append(size)
        if len(looks) >= len(sizes) + LOOKS:
            seen.set()
        return [size * MB, files]

    async def end_all() -> None:
        nonlocal ended
        ended += 1

    looks: list[int] = []
    meter = Meter(folder, SHARES, measure)
    meter.add("one", Watched(keeper, folder, Notices(), memory=False, disk=True, end_all=end_all))
    running = asyncio.create_task(meter.run())
    async with asyncio.timeout(30):
        await seen.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return ended


async def test_what_was_written_between_the_look_and_the_end_is_no_new_growth(tmp_path: Path, keeper: int) -> None:
    assert await times_ended(tmp_path, keeper, (70, 1), (80, 1)) == 1


async def test_what_makes_room_is_left_alone(tmp_path: Path, keeper: int) -> None:
    assert await times_ended(tmp_path, keeper, (70, 200), (70, 200), (68, 190), (66, 150), (10, 10)) == 1


async def test_what_grows_again_is_ended_again(tmp_path: Path, keeper: int) -> None:
    assert await times_ended(tmp_path, keeper, (70, 1), (70, 1), (80, 1), (80, 1)) == 2
    assert await times_ended(tmp_path, keeper, (1, 101), (1, 101), (1, 110), (1, 110)) == 2
