"""One leg, tried: intend, look, make, record; or give way to whoever overtook it and clean up."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from server import dotenv
from server.books.database import is_away, writing
from server.books.record import Leg, Problem
from server.crash import nowhere
from server.errors import LegError
from server.legs.deadline import within
from server.log import provisioning
from server.settings import VENDOR_OF, LegName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import sqlalchemy as sa

    from server.books.books import Books
    from server.books.record import Session
    from server.crash import Crash
    from server.environment import Environment
    from server.legs import Intent, Resources
    from server.legs import Leg as VendorLeg

TRIES = 3
LOOK_AGAIN_SECONDS = 1.0  # a create whose answer was lost may still be on its way
WORTH_TELLING_SECONDS = 2.0


class Attempts:
    """Runs legs. Whatever dies in between, one set of resources is on record and no other stays."""

    def __init__(
        self,
        books: Books,
        legs: Mapping[LegName, VendorLeg],
        environment: Environment,
        *,
        budget_seconds: float,
        queue_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        at: Crash = nowhere,
    ) -> None:
        self._books = books
        self._sessions = books.sessions
        self._legs = legs
        self._environment = environment
        self.budget_seconds = budget_seconds
        self._queue_seconds = queue_seconds
        self._clock = clock
        self._at = at

    async def run(self, slug: str, name: LegName) -> dict[str, Any]:
        """What came of the leg. It answers with references, never with secrets, and raises nothing of a vendor's."""
        began = self._clock()
        intent, leg, made = await self._outcome(slug, name)
        leg.ms = round((self._clock() - began) * 1000)
        if intent and self._record(slug, leg, intent, made):
            return leg.model_dump(mode="json")
        if intent:
            provisioning(slug, f"leg={name}", outcome="overtaken")
            await self._give_way(slug, name, intent, made)
        return self._sessions.by_slug(slug).leg(name).model_dump(mode="json")

    async def _outcome(self, slug: str, name: LegName) -> tuple[Intent | None, Leg, Resources | None]:
        """The one broad catch: no leg's failure may stop another."""
        intent: Intent | None = None
        try:
            async with within(
                self.budget_seconds,
                queue_seconds=self._queue_seconds,
                queued=lambda seconds: self._tell_of_queue(slug, name, seconds),
                check_wanted=lambda: self._check_wanted(slug),
            ):
                for last in [False] * (TRIES - 1) + [True]:
                    intended = self._intend(slug, name, first=intent is None)
                    if intended is None:
                        break
                    intent = intended
                    self._at(f"{name}.intended")
                    try:
                        return intent, *await self._try(name, intent)
                    except LegError as error:
                        if last or not error.again:
                            raise
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
                return intent, self._sessions.by_slug(slug).leg(name), None
        except LegError as error:
            problem = Problem.of(error)
        except TimeoutError:
            problem = _out_of_time(name, self.budget_seconds)
        except Exception as error:
            if is_away(error):
                raise  # our own books: the whole step is done over when they are back
            logging.getLogger("mk0r").exception("leg %s of %s", name, slug)
            problem = _unexpected(name)
        return intent, Leg.failed(name, problem), None

    def _intend(self, slug: str, name: LegName, *, first: bool) -> Intent | None:
        def begun(connection: sa.Connection) -> None:
            if first:
                self._books.events.append_within(connection, slug, "leg.started", {"leg": name})

        intent = self._books.rounds.intend(slug, name, begun)
        self._books.events.wake(slug, over=False)
        return intent

    def _tell_of_queue(self, slug: str, name: LegName, seconds: float) -> None:
        if seconds >= WORTH_TELLING_SECONDS:
            told = {"leg": name, "vendor": VENDOR_OF[name], "seconds": round(seconds)}
            self._books.events.append(slug, "leg.queued", told)

    def _check_wanted(self, slug: str) -> None:
        if self._sessions.by_slug(slug).has_ended:
            raise LegError("The session was ended.", next_action="Start a new one.", code="ended")

    async def _try(self, name: LegName, intent: Intent) -> tuple[Leg, Resources]:
        """Look where an earlier attempt may have left something; make what is not there."""
        leg = self._legs[name]
        found = None
        if intent.look:
            self._at(f"{name}.looking")
            if found := await leg.find(intent):
                self._at(f"{name}.found")
        resources = found or await leg.make(intent)
        if name == "vm":
            resources = await self._environment.furnish(intent, resources)
            self._at("vm.furnished")
        for variable, value in resources.env.items():
            dotenv.check_value(variable, value.reveal())
        self._at(f"{name}.made")
        return Leg(
            name=name,
            vendor=VENDOR_OF[name],
            outcome="found" if found else "made",
            env_names=list(resources.env),
            reference=resources.reference,
        ), resources

    def _record(self, slug: str, leg: Leg, intent: Intent, made: Resources | None) -> bool:
        """The outcome, its secrets and its event: all or nothing, and only for the newest attempt."""
        with writing(self._books.engine) as connection:
            if not self._books.rounds.record(connection, slug, leg, intent.attempt):
                return False
            if made:
                self._books.vault.put_within(connection, slug, leg.name, made.env)
            told = leg.model_dump(mode="json", include={"outcome", "ms", "env_names", "error", "vendor"})
            self._books.events.append_within(connection, slug, "leg.finished", {"leg": leg.name, **told})
            if made:
                self._at(f"{leg.name}.recording")
        self._books.events.wake(slug, over=False)
        code = leg.error.code if leg.error else None
        provisioning(slug, f"leg={leg.name}", vendor=leg.vendor, outcome=leg.outcome, ms=leg.ms, code=code)
        if made:
            self._at(f"{leg.name}.recorded")
        return True

    async def _give_way(self, slug: str, name: LegName, intent: Intent, made: Resources | None) -> None:
        """Remove what this attempt made, unless the one that overtook it adopted it. The reaper is behind this.

        Where nobody knows what it made, whoever overtook it looks; but once the session has ended, nobody does.
        """
        try:
            async with within(self.budget_seconds + self._queue_seconds, queue_seconds=self._queue_seconds):
                if made:
                    await self._remove_stray(slug, name, intent, made)
                elif self._sessions.by_slug(slug).has_ended:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
                    await self._legs[name].remove(intent.app_id, {})
        except (LegError, TimeoutError):
            logging.getLogger("mk0r").warning("%s of %s made something nobody claims", name, slug)

    async def _remove_stray(self, slug: str, name: LegName, intent: Intent, made: Resources) -> None:
        while (session := self._sessions.by_slug(slug)) and not _is_settled(session, name):
            seen = self._books.events.last(slug)
            await self._books.events.wait(slug, seen, 1)
        kept = {} if session.has_ended else session.leg(name).reference
        stray = {key: value for key, value in made.reference.items() if value != kept.get(key)}
        if stray:
            await self._legs[name].remove(intent.app_id, stray)


def _is_settled(session: Session, name: LegName) -> bool:
    return session.has_ended or session.leg(name).stands


def _out_of_time(name: LegName, budget: float) -> Problem:
    return Problem(
        code="timed_out",
        message=f"{VENDOR_OF[name]} took longer than its {budget:g} s.",
        next_action="Provision this service again in a minute; the rest of the session works.",
        retryable=True,
    )


def _unexpected(name: LegName) -> Problem:
    return Problem(
        code="internal",
        message=f"Something of ours went wrong while provisioning {VENDOR_OF[name]}.",
        next_action="Provision this service again; the server's log has the details.",
        retryable=True,
    )
