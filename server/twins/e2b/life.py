"""What goes on without being asked for: sandboxes end when their time is over, and are measured while they run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from server.twins.e2b.builds import Builder
    from server.twins.e2b.metrics import Metrics
    from server.twins.e2b.state import Sandboxes

log = logging.getLogger(__name__)

TICK = 0.25


@contextlib.asynccontextmanager
async def living(sandboxes: Sandboxes, metrics: Metrics, builder: Builder) -> AsyncGenerator[None]:
    """The clock runs while the block does; then all sandboxes go down and their files stay."""
    async with sandboxes.machines.running(sandboxes.gone):
        await sandboxes.sweep()
        await builder.sweep()
        tasks = [asyncio.create_task(_watch_the_clock(sandboxes)), asyncio.create_task(metrics.watch(sandboxes))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await builder.stop()
            await sandboxes.take_all_down()


async def _watch_the_clock(sandboxes: Sandboxes) -> None:
    while True:
        await asyncio.sleep(TICK)
        for record in sandboxes.all():
            if sandboxes.expired(record):
                try:
                    await _time_out(sandboxes, record.id)
                except Exception:  # the next sandbox's time must still run out
                    log.exception("sandbox %s did not end in time", record.id)


async def _time_out(sandboxes: Sandboxes, sandbox_id: str) -> None:
    record = sandboxes.get(sandbox_id)
    if record.on_timeout == "kill":
        await sandboxes.kill(sandbox_id)
        return
    async with sandboxes.lock(sandbox_id):
        record = sandboxes.get(sandbox_id)
        if sandboxes.expired(record):
            await sandboxes.pause_now(record, memory=record.pause_memory)
