"""The jobs apps declare, kept here because a sleeping VM runs no cron: each moment wakes its VM and runs its job once.

An app's own server lists its jobs at `GET /api/jobs` and runs one at `POST /api/jobs/{name}` for whoever holds its
token. The list is read after every push; what is due is started as a workflow whose id is the job and the moment,
so that of several servers, or of one that died and came back, only one runs it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from server.books.database import writing
from server.books.schema import JOBS
from server.environment import JOBS_TOKEN
from server.errors import LegError

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.books.books import Books
    from server.books.sessions import Session
    from server.durable import Durable
    from server.vm.machines import Machines
    from server.vm.sandbox import CommandResult, Sandboxes

MOST_JOBS = 20
"""Of one app. A longer list is cut there."""
READ_SECONDS = 20.0
RUN_SECONDS = 300.0
LOOK_SECONDS = 15.0
"""Between two looks at what is due; cron knows no seconds."""

# Both run inside the VM, where the app's server has no other name. The token comes by the environment, never argv.
_LIST = (
    "const r=await fetch(`http://localhost:${process.env.PORT||5173}/api/jobs`);process.stdout.write(await r.text())"
)
_RUN = (
    "const r=await fetch(`http://localhost:${process.env.PORT||5173}/api/jobs/${process.env.JOB}`,"
    "{method:'POST',headers:{authorization:`Bearer ${process.env.JOB_TOKEN}`}});process.stdout.write(String(r.status))"
)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Declared(BaseModel):
    """One job as an app declares it: somebody else's words, so every part is checked."""

    model_config = ConfigDict(extra="ignore")
    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)
    schedule: str = Field(max_length=100)

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, schedule: str) -> str:
        from croniter import croniter

        if len(schedule.split()) != 5 or not croniter.is_valid(schedule):  # noqa: PLR2004 - cron has five fields
            raise ValueError("not five cron fields")
        _after(schedule, utc_now())  # which raises `ValueError` for a day that never comes
        return schedule


@dataclass(frozen=True)
class Due:
    """A job and the moment it was due, in seconds since 1970."""

    slug: str
    name: str
    schedule: str
    moment: float

    @property
    def workflow_id(self) -> str:
        return f"job-{self.slug}-{self.name}-{self.moment:.0f}"


class Schedules:
    """Reads, keeps and runs the apps' jobs."""

    def __init__(
        self,
        books: Books,
        sandboxes: Sandboxes,
        machines: Machines,
        durable: Durable,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._books = books
        self._engine = books.engine
        self._sandboxes = sandboxes
        self._machines = machines
        self._durable = durable
        self._clock = clock

    async def read(self, session: Session) -> list[Declared]:
        """Keep what the app declares now. An app that does not answer keeps what it declared before."""
        if session.sandbox_id is None:
            return []
        try:
            told = await self._sandboxes.run(session.sandbox_id, _node(_LIST), seconds=READ_SECONDS)
            listed = json.loads(told.stdout)["jobs"]
        except (LegError, ValueError, KeyError, TypeError):
            return self.of(session.slug)
        entries = cast("list[Any]", listed)[:MOST_JOBS] if isinstance(listed, list) else []
        declared = [job for entry in entries if (job := _checked(entry))]
        self._keep(session.slug, declared)
        return declared

    def of(self, slug: str) -> list[Declared]:
        """What is kept of one session, by name."""
        query = sa.select(JOBS.c.name, JOBS.c.schedule).where(JOBS.c.slug == slug).order_by(JOBS.c.name)
        with self._engine.connect() as connection:
            return [Declared(name=row.name, schedule=row.schedule) for row in connection.execute(query)]

    def forget(self, slug: str) -> None:
        """A destroyed session has no jobs. May be called twice."""
        self._keep(slug, [])

    def _keep(self, slug: str, declared: list[Declared]) -> None:
        now = self._clock()
        with writing(self._engine) as connection:
            rows = connection.execute(sa.select(JOBS).where(JOBS.c.slug == slug)).all()
            before = {row.name: row for row in rows}
            connection.execute(sa.delete(JOBS).where(JOBS.c.slug == slug))
            for job in {job.name: job for job in declared}.values():
                known = before.get(job.name)
                same = known is not None and known.schedule == job.schedule
                moment = known.next_at if known is not None and same else _after(job.schedule, now)
                row = {"slug": slug, "name": job.name, "schedule": job.schedule, "next_at": moment}
                connection.execute(sa.insert(JOBS).values(row))

    async def keep_time(self) -> None:
        """Start what is due, again and again, until cancelled."""
        while True:
            await self.start_due()
            await asyncio.sleep(LOOK_SECONDS)

    async def start_due(self) -> list[Due]:
        """Start what is due now. A job whose moments were slept through runs once."""
        now = self._clock()
        query = sa.select(JOBS).where(JOBS.c.next_at <= now.timestamp())
        with self._engine.connect() as connection:
            due = [Due(row.slug, row.name, row.schedule, row.next_at) for row in connection.execute(query)]
        started: list[Due] = []
        for job in due:
            session = self._books.sessions.by_slug(job.slug)
            if session.has_ended:
                self.forget(job.slug)
                continue
            # Started before the clock is put on: a crash between the two starts the same workflow again, which is none.
            await self._durable.start("job", job.workflow_id, job.slug, job.name, job.moment)
            self._put_on(job, _after(job.schedule, now))
            started.append(job)
        return started

    def _put_on(self, job: Due, moment: float) -> None:
        mine = sa.and_(JOBS.c.slug == job.slug, JOBS.c.name == job.name, JOBS.c.next_at == job.moment)
        with writing(self._engine) as connection:
            connection.execute(sa.update(JOBS).where(mine).values(next_at=moment))

    async def story(self, slug: str, name: str, moment: float) -> None:
        """The workflow of one job at one moment."""
        await self._durable.step("job", self._run, slug, name, moment)

    async def _run(self, slug: str, name: str, moment: float) -> str:
        session = self._books.sessions.by_slug(slug)
        self._books.sessions.note_use(slug)
        outcome = await self._outcome(session, name)
        at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="minutes")
        self._books.events.append(slug, "job.ran", {"job": name, "at": at, "outcome": outcome})
        return outcome

    async def _outcome(self, session: Session, name: str) -> str:
        token = self._books.vault.get(session.slug).get(JOBS_TOKEN)
        if token is None:
            return "no token to run it with"
        environment = {"JOB": name, "JOB_TOKEN": token.reveal()}

        async def run(sandbox_id: str) -> CommandResult:
            await self._sandboxes.answers(sandbox_id)  # a VM that slept serves nothing for its first moments
            return await self._sandboxes.run(sandbox_id, _node(_RUN), seconds=RUN_SECONDS, envs=environment)

        try:
            ran, _ = await self._machines.use(session, run)
        except LegError as error:
            return error.code
        return {"200": "done", "401": "the app refused the token", "404": "the app has no such job"}.get(
            ran.stdout, "the app failed"
        )


def _node(script: str) -> str:
    from shlex import quote

    return f"node --input-type=module -e {quote(script)}"


def _checked(told: Any) -> Declared | None:
    try:
        return TypeAdapter(Declared).validate_python(told)
    except ValidationError:
        return None


def _after(schedule: str, moment: datetime) -> float:
    from croniter import croniter

    return float(croniter(schedule, moment.astimezone(UTC)).get_next(float))
