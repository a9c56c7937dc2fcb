"""Jobs an app declares are run by the server: in a real VM, woken for it, once a moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from server.schedules import Schedules

if TYPE_CHECKING:
    from server.app import Core
    from server.books.sessions import Session

JOBS = """
import { appendFile } from 'node:fs/promises'
export type Job = { name: string; schedule: string; run: () => Promise<void> }
export const jobs: Job[] = [
  { name: 'hourly', schedule: '0 * * * *', run: () => appendFile('/app/ran.txt', 'hourly\\n') },
  { name: 'Not A Name', schedule: '* * * * *', run: async () => {} },
  { name: 'never', schedule: 'every tuesday', run: async () => {} },
  { name: 'nor-then', schedule: '0 0 30 2 *', run: async () => {} },
]
"""


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 10, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedules(core: Core, clock: Clock) -> Schedules:
    """The server's own, by another clock."""
    return Schedules(core.books, core.sandboxes, core.machines, core.durable, clock=clock)


@pytest.fixture
async def session(core: Core, schedules: Schedules) -> Session:
    """An app with one job that can be kept and three that cannot."""
    key = core.sessions.mint()
    begun = core.sessions.open(key, services=("vm",))
    await core.provisioner.start(begun.slug, ("vm",))
    session = await core.provisioner.wait(begun.slug, 30)
    await core.workbench.write(session, {"server/jobs.ts": JOBS})
    async with asyncio.timeout(20):
        while not await schedules.read(session):  # noqa: ASYNC110 - a file is what it waits for
            await asyncio.sleep(0.05)  # the app's server takes up the new file by itself
    return session


async def ran(core: Core, session: Session, count: int) -> list[str]:
    """The outcomes of the jobs that ran, once there are so many."""
    seen, outcomes = 0, list[str]()
    async with asyncio.timeout(30):
        while len(outcomes) < count:
            for event in await core.events.wait(session.slug, seen, 5):
                seen = event.seq
                outcomes += [event.data["outcome"]] if event.type == "job.ran" else []
    return outcomes


async def lines(core: Core, session: Session) -> str:
    return (await core.workbench.run(session, "cat /app/ran.txt", cwd="/app", seconds=10))["stdout"]


async def test_only_jobs_that_can_be_kept_are(schedules: Schedules, session: Session) -> None:
    assert [(job.name, job.schedule) for job in schedules.of(session.slug)] == [("hourly", "0 * * * *")]


async def test_a_due_job_wakes_its_sleeping_vm_and_runs_once_whoever_looks(
    core: Core, schedules: Schedules, session: Session, clock: Clock
) -> None:
    assert await schedules.start_due() == []
    await core.sandboxes.pause(session.sandbox_id or "")
    clock.now += timedelta(hours=5)  # five moments were slept through
    another = Schedules(core.books, core.sandboxes, core.machines, core.durable, clock=clock)
    started = await asyncio.gather(schedules.start_due(), another.start_due(), schedules.start_due())
    assert {job.workflow_id for round_ in started for job in round_} == {f"job-{session.slug}-hourly-1772362800"}
    assert await ran(core, session, 1) == ["done"]
    assert await lines(core, session) == "hourly\n"
    assert await schedules.start_due() == []
    clock.now += timedelta(hours=1)
    await schedules.start_due()
    assert await ran(core, session, 2) == ["done", "done"]


async def test_reading_again_does_not_put_a_moment_off(schedules: Schedules, session: Session, clock: Clock) -> None:
    clock.now += timedelta(minutes=50)
    await schedules.read(session)
    assert [job.name for job in await schedules.start_due()] == ["hourly"]


async def test_a_destroyed_session_has_no_jobs(
    core: Core, schedules: Schedules, session: Session, clock: Clock
) -> None:
    await core.provisioner.destroy(session.slug)
    clock.now += timedelta(hours=1)
    assert await schedules.start_due() == []
    assert schedules.of(session.slug) == []
