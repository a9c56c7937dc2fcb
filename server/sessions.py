"""Session key → slug → record. The only place that loads and saves a session."""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa
from pydantic import BaseModel, Field

from server.errors import BadInput, UnknownSession
from server.secrets import Secret
from server.settings import LEGS as ALL_LEGS
from server.settings import VENDOR_OF, LegName
from server.store import LEGS, SESSIONS, upsert

if TYPE_CHECKING:
    from server.store import Vault

_KEY = re.compile(r"mk0rk_[A-Za-z0-9_-]{22}")
SESSION_LEG = "session"  # the vault's shelf for the key itself

State = Literal["provisioning", "ready", "partial", "failed", "destroyed"]


class SessionKey(Secret):
    """128 random bits, URL-safe: the tenant, and a bearer secret."""

    @property
    def slug(self) -> str:
        """The public name: 12 characters of base32 of a hash of the key, one way."""
        return b32encode(sha256(self.reveal().encode()).digest())[:12].decode().lower()


class Problem(BaseModel):
    """Why something is missing, in our words."""

    code: str
    message: str
    next_action: str = ""
    retryable: bool = False


class Leg(BaseModel):
    """One vendor's part of a session."""

    name: LegName
    vendor: str
    outcome: Literal["pending", "made", "found", "skipped", "failed"] = "pending"
    ms: int | None = Field(default=None, description="How long it took, in milliseconds")
    env_names: list[str] = Field(default_factory=list)
    reference: dict[str, str] = Field(default_factory=dict, description="The vendor's ids; never a secret")
    error: Problem | None = None


class Session(BaseModel):
    """What anybody who holds the key may know about a session."""

    slug: str
    app_id: str
    state: State
    idea: str = ""
    created_at: datetime
    generation: int = Field(default=0, description="How many rounds of provisioning were started")
    services: list[LegName]
    legs: list[Leg]

    def leg(self, name: LegName) -> Leg:
        return next(leg for leg in self.legs if leg.name == name)

    @property
    def env_names(self) -> list[str]:
        return [name for leg in self.legs for name in leg.env_names]

    @property
    def sandbox_id(self) -> str | None:
        return self.leg("vm").reference.get("sandbox_id")

    @property
    def preview_url(self) -> str | None:
        return self.leg("vm").reference.get("preview_url")

    @property
    def repository_url(self) -> str | None:
        return self.leg("git").reference.get("url")


class Sessions:
    """Loads and saves sessions."""

    def __init__(self, engine: sa.Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def mint(self) -> SessionKey:
        return SessionKey("mk0rk_" + secrets.token_urlsafe(16))

    def open(self, key: SessionKey, *, idea: str = "", services: tuple[LegName, ...] = ALL_LEGS) -> Session:
        """The session of this key, begun if it is new. Calling it twice changes nothing."""
        if not _KEY.fullmatch(key.reveal()):
            raise BadInput(
                "That is not a session key.",
                next_action="Leave session_key out to get a new one.",
            )
        row = {
            "key_hash": _hash(key),
            "idea": idea,
            "state": "provisioning",
            "generation": 0,
            "services": list(services),
            "created_at": datetime.now(UTC),
        }
        with self._engine.begin() as connection:
            there = connection.execute(sa.select(SESSIONS.c.state).where(SESSIONS.c.slug == key.slug)).scalar()
            if there == "destroyed":
                raise BadInput("This session was destroyed.", next_action="Start a new one without a session_key.")
            if there is None:
                connection.execute(sa.insert(SESSIONS).values(slug=key.slug, **row))
        if there is None:
            self._vault.put(key.slug, SESSION_LEG, {"session_key": key})
        return self.by_slug(key.slug)

    def authenticate(self, key_text: str) -> Session:
        """The live session this key opens. Raises `UnknownSession`."""
        key = SessionKey(key_text)
        with self._engine.connect() as connection:
            query = sa.select(SESSIONS.c.key_hash, SESSIONS.c.state).where(SESSIONS.c.slug == key.slug)
            row = connection.execute(query).one_or_none()
        if row is None or not hmac.compare_digest(row.key_hash, _hash(key)) or row.state == "destroyed":
            raise UnknownSession
        return self.by_slug(key.slug)

    def by_slug(self, slug: str) -> Session:
        """Raises `UnknownSession`."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(SESSIONS).where(SESSIONS.c.slug == slug)).mappings().one_or_none()
            legs = connection.execute(sa.select(LEGS.c.name, LEGS.c.outcome).where(LEGS.c.slug == slug)).all()
        if row is None:
            raise UnknownSession
        outcomes = {name: outcome for name, outcome in legs if outcome}
        return Session(
            slug=slug,
            app_id=f"mk0r-{slug}",
            state=row["state"],
            idea=row["idea"],
            created_at=row["created_at"],
            generation=row["generation"],
            services=row["services"],
            legs=[
                Leg.model_validate(outcomes.get(name) or _absent(name, name in row["services"])) for name in ALL_LEGS
            ],
        )

    def all(self) -> list[Session]:
        """Every session that was not destroyed, newest first."""
        query = sa.select(SESSIONS.c.slug).where(SESSIONS.c.state != "destroyed").order_by(SESSIONS.c.created_at.desc())
        with self._engine.connect() as connection:
            slugs = connection.execute(query).scalars().all()
        return [self.by_slug(slug) for slug in slugs]

    def key_of(self, slug: str) -> SessionKey:
        """For our own host of the model, which continues a run after a crash."""
        return SessionKey(self._vault.get(slug, legs=[SESSION_LEG])["session_key"].reveal())

    def set_state(self, slug: str, state: State) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(SESSIONS).where(SESSIONS.c.slug == slug).values(state=state))

    def next_generation(self, slug: str, current: int) -> int:
        """One more round of provisioning. Callers that race for it get the same number."""
        with self._engine.begin() as connection:
            where = sa.and_(SESSIONS.c.slug == slug, SESSIONS.c.generation == current)
            connection.execute(sa.update(SESSIONS).where(where).values(generation=current + 1, state="provisioning"))
            query = sa.select(SESSIONS.c.generation).where(SESSIONS.c.slug == slug)
            return connection.execute(query).scalar_one()

    def set_idea(self, slug: str, idea: str) -> None:
        """The first thing asked of a session names it."""
        with self._engine.begin() as connection:
            where = sa.and_(SESSIONS.c.slug == slug, SESSIONS.c.idea == "")
            connection.execute(sa.update(SESSIONS).where(where).values(idea=idea))

    def note_intent(self, slug: str, leg: LegName) -> bool:
        """Record that a leg is about to make something. True when an earlier intent has no outcome yet."""
        where = sa.and_(LEGS.c.slug == slug, LEGS.c.name == leg)
        with self._engine.begin() as connection:
            earlier = connection.execute(sa.select(LEGS.c.intent_at).where(where)).scalar()
            if earlier is None:
                upsert(connection, LEGS, {"slug": slug, "name": leg}, {"intent_at": datetime.now(UTC)})
        return earlier is not None

    def save_outcome(self, slug: str, leg: Leg) -> None:
        with self._engine.begin() as connection:
            upsert(connection, LEGS, {"slug": slug, "name": leg.name}, {"outcome": leg.model_dump(mode="json")})

    def forget_leg(self, slug: str, leg: LegName) -> None:
        """The leg's resources are gone: as if it had never run."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(LEGS).where(LEGS.c.slug == slug, LEGS.c.name == leg))


def _absent(name: LegName, asked: bool) -> Leg:
    return Leg(name=name, vendor=VENDOR_OF[name], outcome="pending" if asked else "skipped")


def _hash(key: Secret) -> str:
    return sha256(b"mk0r session key\0" + key.reveal().encode()).hexdigest()
