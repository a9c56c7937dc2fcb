"""Session key → slug → record. With `rounds`, the only place that loads and saves a session."""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from server.books.database import in_utc, insert_new, writing
from server.books.record import Leg, Problem, Session, SessionKey, State
from server.books.schema import LEGS, POOL, SESSIONS
from server.errors import BadInput, UnknownSession
from server.settings import LEGS as ALL_LEGS
from server.settings import LegName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from server.books.store import Vault
    from server.secrets import Secret

__all__ = ["SESSION_LEG", "Leg", "Problem", "Session", "SessionKey", "Sessions", "State"]

_KEY = re.compile(r"mk0rk_[A-Za-z0-9_-]{22}")
SESSION_LEG = "session"  # the vault's shelf for the key itself
# One made ahead is nobody's before it is claimed.
_IS_SOMEBODYS = SESSIONS.c.slug.not_in(sa.select(POOL.c.slug).where(POOL.c.state != "claimed"))
_HERE = sa.and_(SESSIONS.c.state != "destroyed", _IS_SOMEBODYS)
_USE_IS_NOTED_EVERY = timedelta(hours=1)


class Sessions:
    """Loads and saves sessions."""

    def __init__(self, engine: sa.Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def mint(self) -> SessionKey:
        return SessionKey("mk0rk_" + secrets.token_urlsafe(16))

    def open(self, key: SessionKey, *, idea: str = "", services: tuple[LegName, ...] = ALL_LEGS) -> Session:
        """The session of this key, begun if it is new. Calling it twice, in two processes, changes nothing."""
        with writing(self._engine) as connection:
            new = self.open_within(connection, key, idea=idea, services=services)
        session = self.by_slug(key.slug) if new else self.belonging_to(key.reveal())
        if session.has_ended:
            raise BadInput("This session was destroyed.", next_action="Start a new one without a session_key.")
        return session

    def open_within(
        self, connection: sa.Connection, key: SessionKey, *, idea: str = "", services: tuple[LegName, ...] = ALL_LEGS
    ) -> bool:
        """Begin the session of this key as part of a larger change; False when it is there."""
        if not _KEY.fullmatch(key.reveal()):
            raise BadInput(
                "That is not a session key.",
                next_action="Leave session_key out to get a new one.",
            )
        row = {
            "slug": key.slug,
            "key_hash": _hash(key),
            "idea": idea,
            "state": "provisioning",
            "generation": 0,
            "services": list(services),
            "created_at": datetime.now(UTC),
        }
        new = insert_new(connection, SESSIONS, row)
        if new:
            self._vault.put_within(connection, key.slug, SESSION_LEG, {"session_key": key})
        return new

    def hand_over(self, connection: sa.Connection, slug: str, idea: str) -> SessionKey:
        """A session made ahead begins its life now, as part of a larger change; its key."""
        begins = {"idea": idea, "created_at": datetime.now(UTC), "used_at": None}
        connection.execute(sa.update(SESSIONS).where(SESSIONS.c.slug == slug).values(**begins))
        return _key(self._vault.get_within(connection, slug, legs=[SESSION_LEG]))

    def authenticate(self, key_text: str) -> Session:
        """The live session this key opens. Raises `UnknownSession`."""
        session = self.belonging_to(key_text)
        if session.state == "destroyed":
            raise UnknownSession
        return session

    def belonging_to(self, key_text: str) -> Session:
        """The session this key opens, or opened before it was destroyed. Raises `UnknownSession`."""
        key = SessionKey(key_text)
        with self._engine.connect() as connection:
            query = sa.select(SESSIONS.c.key_hash, SESSIONS.c.used_at)
            row = connection.execute(query.where(SESSIONS.c.slug == key.slug)).one_or_none()
        if row is None or not hmac.compare_digest(row.key_hash, _hash(key)):
            raise UnknownSession
        self._note_use(key.slug, row.used_at)
        return self.by_slug(key.slug)

    def note_use(self, slug: str) -> None:
        """Somebody uses the session, with its key or by another door: its time to live begins anew."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(SESSIONS.c.used_at).where(SESSIONS.c.slug == slug)).one_or_none()
        if row is not None:
            self._note_use(slug, row.used_at)

    def _note_use(self, slug: str, noted: datetime | None) -> None:
        now = datetime.now(UTC)
        if noted is None or now - in_utc(noted) > _USE_IS_NOTED_EVERY:
            self._set(slug, used_at=now)

    def by_slug(self, slug: str) -> Session:
        """Raises `UnknownSession`."""
        with self._engine.connect() as connection:
            return load(connection, slug)

    def all(self, most: int | None = None) -> list[Session]:
        """Every session that is somebody's and was not destroyed, newest first; no more than `most`."""
        rows = sa.select(SESSIONS).where(_HERE).order_by(SESSIONS.c.created_at.desc()).limit(most)
        with self._engine.connect() as connection:
            found = connection.execute(rows).all()
            legs: dict[str, list[Any]] = {row.slug: [] for row in found}
            theirs = sa.select(LEGS.c.slug, LEGS.c.name, LEGS.c.outcome).where(LEGS.c.slug.in_(legs))
            for slug, name, outcome in connection.execute(theirs):
                legs[slug].append((name, outcome))
        return [_session(row, legs[row.slug]) for row in found]

    def count(self) -> int:
        """How many `all` are."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(SESSIONS).where(_HERE)).scalar_one()

    def unfinished(self) -> Iterable[str]:
        """Those whose provisioning was begun and has not come to its end."""
        begun = sa.and_(SESSIONS.c.state == "provisioning", SESSIONS.c.generation > 0, SESSIONS.c.ending_at.is_(None))
        return self._slugs(sa.select(SESSIONS.c.slug).where(begun))

    def ending(self, *, before: datetime) -> Iterable[str]:
        """Those whose end was asked for before that and has not come."""
        asked = sa.and_(SESSIONS.c.state != "destroyed", SESSIONS.c.ending_at < before)
        return self._slugs(sa.select(SESSIONS.c.slug).where(asked))

    def unused(self, *, since: datetime) -> list[str]:
        """Those whose key was last used before that, the longest unused first."""
        here = sa.and_(SESSIONS.c.state != "destroyed", SESSIONS.c.ending_at.is_(None), _IS_SOMEBODYS)
        return [*self._slugs(sa.select(SESSIONS.c.slug).where(here, _unused(since)).order_by(_last_noted))]

    def key_of(self, slug: str) -> SessionKey:
        """For our own host of the model, which continues a run after a crash."""
        return _key(self._vault.get(slug, legs=[SESSION_LEG]))

    def destroyed(self, connection: sa.Connection, slug: str) -> bool:
        """The end has come, as part of a larger change; False when it had before."""
        here = sa.and_(SESSIONS.c.slug == slug, SESSIONS.c.state != "destroyed")
        return connection.execute(sa.update(SESSIONS).where(here).values(state="destroyed")).rowcount == 1

    def end(self, slug: str, *, unused_since: datetime | None = None) -> bool:
        """Mark that nothing may be made any more; False when its key was used after `unused_since`."""
        with writing(self._engine) as connection:
            return self.end_within(connection, slug, unused_since=unused_since)

    def end_within(self, connection: sa.Connection, slug: str, *, unused_since: datetime | None = None) -> bool:
        """The same as part of a larger change."""
        where = SESSIONS.c.slug == slug
        if unused_since is not None:
            where = sa.and_(where, _unused(unused_since))
        ending = sa.func.coalesce(SESSIONS.c.ending_at, datetime.now(UTC))
        return connection.execute(sa.update(SESSIONS).where(where).values(ending_at=ending)).rowcount == 1

    def set_idea(self, slug: str, idea: str) -> None:
        """The first thing asked of a session names it."""
        with writing(self._engine) as connection:
            where = sa.and_(SESSIONS.c.slug == slug, SESSIONS.c.idea == "")
            connection.execute(sa.update(SESSIONS).where(where).values(idea=idea))

    def _set(self, slug: str, **values: object) -> None:
        with writing(self._engine) as connection:
            connection.execute(sa.update(SESSIONS).where(SESSIONS.c.slug == slug).values(**values))

    def _slugs(self, query: sa.Select[Any]) -> Iterable[str]:
        with self._engine.connect() as connection:
            return connection.execute(query).scalars().all()


_last_noted = sa.func.coalesce(SESSIONS.c.used_at, SESSIONS.c.created_at)


def _unused(since: datetime) -> sa.ColumnElement[bool]:
    """Surely: a use that was noted may have been followed by others, which were not."""
    return _last_noted <= since - _USE_IS_NOTED_EVERY


# Made once: what a session costs was for a good part the making of these.
_ONE = sa.select(SESSIONS).where(SESSIONS.c.slug == sa.bindparam("of"))
_LOCKED = _ONE.with_for_update()
_ITS_LEGS = sa.select(LEGS.c.name, LEGS.c.outcome).where(LEGS.c.slug == sa.bindparam("of"))
_WHERE_IT_IS = (
    sa.select(SESSIONS.c.ending_at, SESSIONS.c.state).where(SESSIONS.c.slug == sa.bindparam("of")).with_for_update()
)


def load(connection: sa.Connection, slug: str, *, lock: bool = False) -> Session:
    """The session; with `lock`, nobody else changes it before this transaction ends. Raises `UnknownSession`."""
    row = connection.execute(_LOCKED if lock else _ONE, {"of": slug}).one_or_none()
    if row is None:
        raise UnknownSession
    return _session(row, connection.execute(_ITS_LEGS, {"of": slug}))


def locked_state(connection: sa.Connection, slug: str) -> State | None:
    """The session's state, or None once its end was asked for. Nobody else changes it before this transaction ends.

    Raises `UnknownSession`.
    """
    row = connection.execute(_WHERE_IT_IS, {"of": slug}).one_or_none()
    if row is None:
        raise UnknownSession
    return None if row.ending_at is not None else row.state


def _session(row: sa.Row[Any], legs: Iterable[Any]) -> Session:
    outcomes = {name: Leg.model_validate(outcome) for name, outcome in legs if outcome}
    return Session(
        slug=row.slug,
        app_id=f"mk0r-{row.slug}",
        state=row.state,
        idea=row.idea,
        created_at=in_utc(row.created_at),
        generation=row.generation,
        services=row.services,
        round=row.round or [],
        ending=row.ending_at is not None,
        legs=[outcomes.get(name) or Leg.absent(name, asked=name in row.services) for name in ALL_LEGS],
    )


def _key(secrets: Mapping[str, Secret]) -> SessionKey:
    return SessionKey(secrets["session_key"].reveal())


def _hash(key: Secret) -> str:
    return sha256(b"mk0r session key\0" + key.reveal().encode()).hexdigest()
