"""The story of one session: its legs race, every outcome is gathered, and what succeeded goes into `.env`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from server.admission import Admission
from server.books.database import writing
from server.crash import nowhere
from server.durable import patiently
from server.log import provisioning

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import sqlalchemy as sa

    from server.attempt import Attempts
    from server.books.books import Books
    from server.books.record import Session
    from server.crash import Crash
    from server.durable import Durable
    from server.ending import Ending
    from server.environment import Environment
    from server.settings import LegName

WORKFLOW = "provision"
RECOVER_SECONDS = 60.0
SILENCE_SECONDS = 5.0  # after so long, whoever waits looks for himself
MOMENT_SECONDS = 0.02
LONGEST_FIRST: tuple[LegName, ...] = ("database", "vm", "mail", "git", "analytics")
ASKS_NO_VENDOR: frozenset[LegName] = frozenset({"analytics"})


class Provisioner:
    """Makes a session's resources once, whatever dies, and removes them."""

    def __init__(
        self,
        books: Books,
        attempts: Attempts,
        environment: Environment,
        ending: Ending,
        durable: Durable,
        *,
        at_once: int,
        clock: Callable[[], float],
        at: Crash = nowhere,
    ) -> None:
        self._admission = Admission(books.events, at_once)
        self._racing = 0
        self._books = books
        self._sessions = books.sessions
        self._environment = environment
        self._durable = durable
        self._clock = clock
        self._at = at
        self.attempts = attempts
        self.ending = ending
        self.destroy = ending.destroy

    async def start(self, slug: str, services: Collection[LegName]) -> None:
        """Provision these legs in the background, at first or later on. What stands already is left alone."""

        new = False

        def begun(connection: sa.Connection, names: list[LegName]) -> None:
            nonlocal new
            new = True
            self._books.events.append_within(connection, slug, "provisioning", {"legs": names})

        session = self._books.rounds.plan(slug, services, begun)
        self._books.events.wake(slug, over=False)
        self._at("round.planned")
        await self._ensure(session, new=new)
        self._at("round.started")

    add = start

    async def replace(self, slug: str, sandbox_id: str, seconds: float) -> Session:
        """The session with another VM than this one, or as it is after `seconds`: two who ask at once get one.

        Nothing is replaced unless E2B itself says that it is gone.
        """
        if await self._environment.is_gone(sandbox_id):
            with writing(self._books.engine) as connection:
                if self._books.rounds.lose(connection, slug, sandbox_id):
                    self._books.events.append_within(connection, slug, "vm.lost", {})
                    provisioning(slug, "vm lost")
            self._books.events.wake(slug)
            self._at("vm.lost")
            await self._ensure(self._sessions.by_slug(slug))
        return await self.wait(slug, seconds)

    async def story(self, slug: str, names: list[LegName], generation: int) -> None:
        """The workflow. Each leg is one durable step; a step answers with references, never with secrets.

        What may be done twice is no step: after a crash it simply is.
        """
        began = self._clock()
        async with self._admission.admitted(slug, in_use=self._is_in_use(slug, generation)):
            provisioning(slug, "start", legs=",".join(names))
            await self._race(slug, names)
            await patiently(self._finish, slug, generation, began)
        await patiently(self._await_preview, slug, began)
        await self._ensure(self._sessions.by_slug(slug))

    async def _race(self, slug: str, names: list[LegName]) -> None:
        """Every leg to its end; then what the engine or the database raised. A leg's own failure is an outcome.

        Alone they begin at once. Among other sessions those that take long go first, a moment apart: what beginning
        costs the processor must not keep another session's longest leg waiting.
        """
        self._racing += 1
        begun: list[asyncio.Task[Any]] = []
        try:
            for name in sorted(names, key=LONGEST_FIRST.index):
                begun.append(asyncio.create_task(self._leg(slug, name)))
                if self._racing > 1:
                    await asyncio.sleep(MOMENT_SECONDS)
            for result in await asyncio.gather(*begun, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        finally:
            self._racing -= 1
            for leg in begun:
                leg.cancel()

    async def _leg(self, slug: str, name: LegName) -> None:
        if name in ASKS_NO_VENDOR:
            await patiently(self.attempts.run, slug, name)
        else:
            await self._durable.insist(f"leg:{name}", self.attempts.run, slug, name)

    def _is_in_use(self, slug: str, generation: int) -> bool:
        """Whether somebody works in the session already: a later round, for one of which something stands."""
        return generation > 1 and any(leg.stands for leg in self._sessions.by_slug(slug).legs)

    async def _finish(self, slug: str, generation: int, began: float) -> None:
        """`.env`, the round's end, and the session's state by what stands. A VM that took no `.env` does not stand."""
        if not self._books.rounds.is_under_way(slug, generation):
            return  # an earlier life of this workflow came as far
        unwritten = await self._environment.write(slug)
        self._at("round.finishing")
        with writing(self._books.engine) as connection:
            state = self._books.rounds.finish(connection, slug, generation, unwritten)
            if state and state != "provisioning":
                told = {"ms": _ms(self._clock() - began), "state": state}
                self._books.events.append_within(connection, slug, "provisioned", told)
                provisioning(slug, "done", **told)
        self._books.events.wake(slug)
        self._at("round.finished")

    async def _await_preview(self, slug: str, began: float) -> None:
        session = self._sessions.by_slug(slug)
        if await self._environment.answers(session):
            told = {"url": session.preview_url, "ms": _ms(self._clock() - began)}
            self._books.events.append(slug, "preview.ready", told)

    async def _ensure(self, session: Session, *, new: bool = False) -> None:
        """Have the round's workflow run. Its id makes this safe to ask for any number of times.

        `new`: the round began just now, so it cannot be over.
        """
        while session.state == "provisioning" and session.generation > 0:
            if new or not await self.is_over(session):
                await self._durable.start(WORKFLOW, _run(session), session.slug, session.round, session.generation)
                return
            session = self._books.rounds.again(session.slug, session.generation)

    async def is_over(self, session: Session) -> bool:
        """Whether the session's newest round has come to its very end, its preview awaited."""
        return await self._durable.is_over(_run(session))

    async def recover(self) -> None:
        """Go on with what was saved and is worked on by nobody: at start-up, and once a minute for ever."""
        while True:
            for slug in self._sessions.unfinished():
                await self._ensure(self._sessions.by_slug(slug))
            await asyncio.sleep(RECOVER_SECONDS)

    async def wait(self, slug: str, seconds: float) -> Session:
        """The session once provisioning has ended, or as it is after `seconds`."""
        end = self._clock() + seconds
        while True:
            over = self._books.events.over(slug)
            session, left = self._sessions.by_slug(slug), end - self._clock()
            if session.state != "provisioning" or left <= 0:
                return session
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, SILENCE_SECONDS)):
                    await over.wait()


def _run(session: Session) -> str:
    return f"{WORKFLOW}-{session.slug}-{session.generation}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
