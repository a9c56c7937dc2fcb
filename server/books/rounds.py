"""The state machine of provisioning: rounds are planned, legs intend, the newest attempt records, rounds finish.

Every change locks the session's row first, so two servers that work on one session take turns.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.books.database import insert_new, writing
from server.books.record import Leg, Problem
from server.books.schema import LEGS, SESSIONS
from server.books.sessions import load, locked_state
from server.errors import BadInput
from server.legs import Intent
from server.settings import LEGS as ALL_LEGS
from server.vm.errors import GONE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from server.books.record import Session, State
    from server.settings import LegName


class Rounds:
    """One session is provisioned in rounds (its generations), each for some of its legs."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def plan(
        self,
        slug: str,
        services: Collection[LegName],
        begun: Callable[[sa.Connection, list[LegName]], None] = lambda _, __: None,
    ) -> Session:
        """Ask for these legs. What is missing of them gets a round: the one under way, or a new one, which is told."""
        with writing(self._engine) as connection:
            session = load(connection, slug, lock=True)
            if session.ending:
                raise BadInput("This session is being destroyed.", next_action="Start a new one.")
            asked: list[LegName] = [name for name in ALL_LEGS if name in services or name in session.services]
            if asked != session.services:
                _save(connection, slug, services=asked)
            missing: list[LegName] = [name for name in asked if name in services and not session.leg(name).stands]
            failed: list[LegName] = [name for name in missing if session.leg(name).outcome == "failed"]
            if missing and not _under_way(session):
                _begin(connection, session, missing)
                begun(connection, missing)
            elif failed:
                _leave_to_the_next(connection, session, failed)
            return load(connection, slug)

    def is_under_way(self, slug: str, generation: int) -> bool:
        """Whether this round has not ended."""
        with self._engine.connect() as connection:
            return _is_under_way(load(connection, slug), generation)

    def again(self, slug: str, generation: int) -> Session:
        """A new round for what a round that ended without a word has left."""
        with writing(self._engine) as connection:
            session = load(connection, slug, lock=True)
            if _is_under_way(session, generation):
                _begin(connection, session, session.round)
            return load(connection, slug)

    def finish(
        self, connection: sa.Connection, slug: str, generation: int, unwritten: Problem | None = None
    ) -> State | None:
        """End this round, or begin the next when a leg was asked for meanwhile; the session's state then. None when
        the round is over already.

        `unwritten`: why `.env` could not be written, which fails the VM.
        """
        session = load(connection, slug, lock=True)
        if not _is_under_way(session, generation):
            return None
        legs = {leg.name: leg for leg in session.legs}
        if unwritten and legs["vm"].stands:
            legs["vm"] = _fail(connection, slug, legs["vm"], unwritten)
        for name in session.round:
            if legs[name].outcome == "pending":
                legs[name] = _fail(connection, slug, legs[name], _NO_OUTCOME)  # or the rounds would go on for ever
        waiting: list[LegName] = [leg.name for leg in legs.values() if leg.outcome == "pending"]
        if waiting:
            _begin(connection, session, waiting)
            return "provisioning"
        state = session.model_copy(update={"legs": [*legs.values()]}).came_to
        _save(connection, slug, state=state)
        return state

    def intend(
        self, slug: str, name: LegName, begun: Callable[[sa.Connection], object] = lambda _: None
    ) -> Intent | None:
        """Write down that this leg is about to be made, which is told. None where it stands, or the session ends."""
        with writing(self._engine) as connection:
            if locked_state(connection, slug) is None:
                return None
            now, key = datetime.now(UTC), {"of": slug, "leg": name}
            row = connection.execute(_INTENDED, key).one_or_none()
            if row and row.outcome and Leg.model_validate(row.outcome).stands:
                return None
            begun(connection)
            if row is None:
                connection.execute(_FIRST_INTENT, {"slug": slug, "name": name, "attempt": 1, "intent_at": now})
                return Intent(f"mk0r-{slug}", 1)
            connection.execute(_INTEND, {**key, "next": row.attempt + 1, "now": now})
            return Intent(f"mk0r-{slug}", row.attempt + 1, row.life, look=row.intent_at is not None)

    def record(self, connection: sa.Connection, slug: str, leg: Leg, attempt: int) -> bool:
        """Save what came of an attempt. False, and nothing saved, when a later one or the session's end overtook it."""
        state = locked_state(connection, slug)
        if state is None:
            return False
        came = {"of": slug, "leg": leg.name, "at": attempt, **_came_to(leg)}
        if connection.execute(_RECORD, came).rowcount != 1:
            return False
        if leg.stands and state in ("partial", "failed"):
            # Two servers at one leg: the round ended without this. A round for nothing writes `.env` and says what
            # the session is now.
            _save(connection, slug, state="provisioning", generation=SESSIONS.c.generation + 1, round=[])
        return True

    def lose(self, connection: sa.Connection, slug: str, sandbox_id: str) -> bool:
        """The VM is gone for good: have a round make another. False, and nothing done, when one is replaced already."""
        session = load(connection, slug, lock=True)
        if session.sandbox_id != sandbox_id or session.ending:
            return False
        vm = sa.and_(LEGS.c.slug == slug, LEGS.c.name == "vm")
        connection.execute(sa.update(LEGS).where(vm).values(outcome=sa.null(), life=LEGS.c.life + 1))
        if _under_way(session):
            _leave_to_the_next(connection, session, ["vm"])
        else:
            _begin(connection, session, ["vm"])
        return True

    def attempts(self, slug: str, name: LegName) -> int | None:
        """How often the leg was ever tried; None when nothing was since its resources were last removed."""
        query = sa.select(LEGS.c.attempt).where(LEGS.c.slug == slug, LEGS.c.name == name, LEGS.c.intent_at.is_not(None))
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def forget(self, slug: str, name: LegName) -> None:
        """The leg's resources are gone: as if it had never run, but for the numbers, which only grow."""
        with writing(self._engine) as connection:
            load(connection, slug, lock=True)
            values = {"outcome": None, "intent_at": None, "life": LEGS.c.life + 1, "attempt": LEGS.c.attempt + 1}
            connection.execute(sa.update(LEGS).where(LEGS.c.slug == slug, LEGS.c.name == name).values(**values))


_KEY = sa.and_(LEGS.c.slug == sa.bindparam("of"), LEGS.c.name == sa.bindparam("leg"))
_INTENDED = sa.select(LEGS.c.attempt, LEGS.c.life, LEGS.c.intent_at, LEGS.c.outcome).where(_KEY)
_FIRST_INTENT = sa.insert(LEGS)
_INTEND = (
    sa.update(LEGS).where(_KEY).values(attempt=sa.bindparam("next"), intent_at=sa.bindparam("now"), outcome=sa.null())
)
_FAIL = (
    sa.update(LEGS)
    .where(_KEY)
    .values(outcome=sa.bindparam("came_to", type_=LEGS.c.outcome.type), life=LEGS.c.life + sa.bindparam("lives"))
)
_RECORD = _FAIL.where(LEGS.c.attempt == sa.bindparam("at"))

_NO_OUTCOME = Problem(
    code="internal",
    message="Something of ours went wrong while provisioning this service.",
    next_action="Provision this service again; the server's log has the details.",
    retryable=True,
)


def _fail(connection: sa.Connection, slug: str, leg: Leg, problem: Problem) -> Leg:
    """What it refers to stays on record: it has to be found again, or removed."""
    failed = leg.model_copy(update={"outcome": "failed", "error": problem})
    insert_new(connection, LEGS, {"slug": slug, "name": leg.name})
    connection.execute(_FAIL, {"of": slug, "leg": leg.name, **_came_to(failed)})
    return failed


def _came_to(leg: Leg) -> dict[str, object]:
    """What is saved of it. Where E2B has lost what this life's key made, that key must not be used again."""
    lost = leg.error is not None and leg.error.code == GONE
    return {"came_to": leg.model_dump(mode="json"), "lives": int(lost)}


def _under_way(session: Session) -> bool:
    return session.state == "provisioning" and session.generation > 0


def _is_under_way(session: Session, generation: int) -> bool:
    return _under_way(session) and session.generation == generation


def _begin(connection: sa.Connection, session: Session, names: list[LegName]) -> None:
    _save(connection, session.slug, generation=session.generation + 1, state="provisioning", round=names)


def _leave_to_the_next(connection: sa.Connection, session: Session, names: list[LegName]) -> None:
    """What is pending and not in the round that ends gets the next one."""
    theirs = sa.and_(LEGS.c.slug == session.slug, LEGS.c.name.in_(names))
    connection.execute(sa.update(LEGS).where(theirs).values(outcome=sa.null()))
    _save(connection, session.slug, round=[name for name in session.round if name not in names])


def _save(connection: sa.Connection, slug: str, **values: object) -> None:
    connection.execute(sa.update(SESSIONS).where(SESSIONS.c.slug == slug).values(**values))
