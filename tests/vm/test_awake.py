"""A VM that is used does not fall asleep; one that nobody uses does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from server.vm.sandbox import Sandboxes
from tests.server.driving import provisioned

if TYPE_CHECKING:
    from datetime import datetime

    from server.app import Core

TIMEOUT = 100


class Clock:
    """The machine's, and what a test adds."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandboxes(core: Core, clock: Clock) -> Sandboxes:
    """Another server's, with a VM's time set shorter than the twin was told when it made it."""
    return Sandboxes(core.settings.model_copy(update={"sandbox_timeout_seconds": TIMEOUT}), clock=clock)


async def asleep_at(sandboxes: Sandboxes, sandbox_id: str) -> datetime:
    """When E2B would put it to sleep. Asked past `Sandboxes`, so that asking is no use of it."""
    from e2b import AsyncSandbox

    return (await AsyncSandbox.get_info(sandbox_id, **sandboxes.api())).end_at


async def test_a_call_puts_off_the_moment_it_would_fall_asleep(core: Core, sandboxes: Sandboxes, clock: Clock) -> None:
    sandbox_id = core.sessions.by_slug((await provisioned(core, ("vm",))).slug).sandbox_id
    assert sandbox_id is not None
    from e2b import AsyncSandbox

    await AsyncSandbox.set_timeout(sandbox_id, TIMEOUT, **sandboxes.api())
    await sandboxes.run(sandbox_id, "true", seconds=10)
    first = await asleep_at(sandboxes, sandbox_id)
    await sandboxes.run(sandbox_id, "true", seconds=10)
    assert await asleep_at(sandboxes, sandbox_id) == first, "not with every call"
    clock.passed = TIMEOUT / 2 + 1
    await sandboxes.run(sandbox_id, "true", seconds=10)
    assert await asleep_at(sandboxes, sandbox_id) > first


async def test_it_stays_awake_for_as_long_as_its_command_may_take(core: Core, sandboxes: Sandboxes) -> None:
    sandbox_id = core.sessions.by_slug((await provisioned(core, ("vm",))).slug).sandbox_id
    assert sandbox_id is not None
    from e2b import AsyncSandbox

    await AsyncSandbox.set_timeout(sandbox_id, TIMEOUT, **sandboxes.api())
    await sandboxes.run(sandbox_id, "true", seconds=10)
    first = await asleep_at(sandboxes, sandbox_id)
    await sandboxes.run(sandbox_id, "true", seconds=6 * TIMEOUT)
    assert (await asleep_at(sandboxes, sandbox_id) - first).total_seconds() > 4 * TIMEOUT
