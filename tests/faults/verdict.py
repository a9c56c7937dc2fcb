"""Whether a session is what its record says: one of everything, all of it in use, nothing besides."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportArgumentType=false, reportPrivateUsage=false
# (small stand-ins and executors map lambdas whose types are not spelled out)

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import psycopg
from cryptography.fernet import Fernet

from server import parts
from server.books.books import Books
from server.books.database import open_engine
from server.ending import Ending
from server.local.stack import settings_from
from server.secrets import Secret
from server.settings import LEGS, Settings
from server.vm.sandbox import Sandboxes
from tests.faults.vendors import on_record, standing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from server.books.record import Session, SessionKey
    from server.legs import Leg
    from server.local.facts import StackFacts
    from server.settings import LegName


@dataclass(frozen=True)
class Verdict:
    """Looks with eyes of its own: the books, the vendors and the VM."""

    facts: StackFacts
    books: Books
    secret_key: str
    key: SessionKey
    legs: dict[LegName, Leg]
    sandboxes: Sandboxes
    slug: str = ""
    """Of another session than the key's."""

    @classmethod
    @asynccontextmanager
    async def over(cls, facts: StackFacts, url: str) -> AsyncGenerator[Verdict]:
        off = dict.fromkeys(("limit_neon", "limit_resend", "limit_github", "limit_e2b"), "0")
        settings = Settings().with_local(settings_from(facts)).model_copy(update=off)
        secret = Fernet.generate_key().decode()
        engine = open_engine(url)
        books = Books.over(engine, Secret(secret))
        async with httpx.AsyncClient() as http:
            sandboxes = Sandboxes(settings)
            legs = parts.legs(settings, books, parts.vendors(settings, engine, http), sandboxes)
            yield cls(facts, books, secret, books.sessions.mint(), legs, sandboxes)
        engine.dispose()

    @property
    def session(self) -> Session:
        return self.books.sessions.by_slug(self.slug or self.key.slug)

    async def all_stands(self, services: Collection[LegName], *, replaced: bool = False) -> None:
        """Exactly one of each, made in one go; the VM perhaps a second time, with the code that was pushed."""
        await self.one_of_each(services)
        if replaced:
            session = self.session
            assert session.sandbox_id is not None
            head = await self.sandboxes.run(session.sandbox_id, "git rev-parse HEAD; git status --porcelain")
            assert head.stdout == session.leg("vm").reference["commit"] + "\n", head
        self._story_is_told_once(self.session, [*services, *(["vm"] if replaced else [])], rounds=1 + replaced)

    async def one_of_each(self, services: Collection[LegName]) -> None:
        """Exactly one, the one on record, with the secrets that open it."""
        session = self.session
        assert session.state == "ready", session
        assert all(session.leg(name).stands for name in services), session
        found, recorded = await standing(self.facts, session.app_id, services), on_record(session, services)
        assert found == recorded, f"at the vendors {found}, on record {recorded}"
        secrets = self.books.vault.get(session.slug)
        assert set(session.env_names) <= set(secrets), session.env_names
        if "database" in services:
            await self._database_opens(secrets["DATABASE_URL"])
        if "mail" in services:
            await self._mail_goes_out(secrets["RESEND_API_KEY"], secrets["RESEND_FROM"])
        if session.sandbox_id:
            await self._env_is_whole(session)

    async def nothing_is_left(self, services: Collection[LegName]) -> None:
        session = self.session
        assert session.state == "destroyed", session
        found = await standing(self.facts, session.app_id, services)
        assert [*found.values()] == [[]] * len(found), found
        assert self.books.vault.get(session.slug) == {}

    async def clean_up(self) -> None:
        await Ending(self.books, self.legs, budget_seconds=20).destroy(self.session.slug)
        await self.nothing_is_left(LEGS)

    async def _database_opens(self, url: Secret) -> None:
        connection = await psycopg.AsyncConnection.connect(url.reveal(), connect_timeout=10, sslmode="disable")
        async with connection:
            assert await (await connection.execute("select 1")).fetchone() == (1,)

    async def _mail_goes_out(self, token: Secret, sender: Secret) -> None:
        mail = {"from": sender.reveal(), "to": "who@mk0r.localhost", "subject": "s", "text": "t"}
        headers = {"Authorization": f"Bearer {token.reveal()}", "User-Agent": "mk0r-tests"}
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.facts.base_url('resend')}/emails", json=mail, headers=headers)
        assert answer.status_code == 200, answer.text

    async def _env_is_whole(self, session: Session) -> None:
        assert session.sandbox_id is not None
        written = (await self.sandboxes.read(session.sandbox_id, "/app/.env")).decode()
        values = self.books.vault.get(session.slug)
        assert written == "".join(f"{name}='{values[name].reveal()}'\n" for name in session.env_names)
        assert f"MK0R_SLUG={session.slug}" in (await self.sandboxes.read(session.sandbox_id, "/run/brd.conf")).decode()

    def _story_is_told_once(self, session: Session, services: Collection[str], *, rounds: int) -> None:
        told = self.books.events.since(session.slug, 0)
        assert [event.seq for event in told] == list(range(1, len(told) + 1)), told
        ended = Counter(event.data["leg"] for event in told if event.type == "leg.finished")
        assert ended == Counter(services), ended
        assert [event.type for event in told].count("provisioned") == rounds, told
