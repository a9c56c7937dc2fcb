"""Session key → slug → record, in both kinds of database."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportArgumentType=false, reportPrivateUsage=false
# (small stand-ins and executors map lambdas whose types are not spelled out)

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from server.books import schema
from server.books.books import Books
from server.books.database import open_engine, writing
from server.books.schema import SESSIONS
from server.books.sessions import SessionKey
from server.errors import BadInput, UnknownSession
from server.secrets import Secret
from server.settings import LEGS, Settings, chosen_services

if TYPE_CHECKING:
    from pathlib import Path


def test_the_slug_is_twelve_public_characters_of_one_key(books: Books) -> None:
    key = books.sessions.mint()
    assert re.fullmatch(r"[a-z2-7]{12}", key.slug)
    assert key.slug == SessionKey(key.reveal()).slug != books.sessions.mint().slug


def test_the_same_key_opens_the_same_session_and_no_other_does(books: Books) -> None:
    sessions = books.sessions
    key = sessions.mint()
    first = sessions.open(key, idea="a run tracker")
    assert sessions.open(key, idea="another").idea == first.idea == "a run tracker"
    assert sessions.authenticate(key.reveal()).slug == key.slug
    for wrong in (sessions.mint().reveal(), key.reveal() + "x", "", "mk0r-" + key.slug, key.slug):
        with pytest.raises(UnknownSession):
            sessions.authenticate(wrong)


def test_a_key_that_is_not_one_makes_nothing(books: Books) -> None:
    for wrong in ("short", "mk0rk_tooshort", "mk0rk_" + "!" * 22):
        with pytest.raises(BadInput):
            books.sessions.open(SessionKey(wrong))
    assert books.sessions.all() == []


def test_many_who_open_one_key_at_once_open_one_session(books: Books) -> None:
    key = books.sessions.mint()
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda n: books.sessions.open(key, idea=f"idea {n}"), range(16)))
    assert len({session.idea for session in opened}) == 1
    assert len(books.sessions.all()) == 1


def test_what_is_stored_holds_no_key_and_no_secret_in_the_clear(books: Books) -> None:
    key = books.sessions.mint()
    books.sessions.open(key)
    books.vault.put(key.slug, "database", {"DATABASE_URL": Secret("canary-in-the-vault")})
    with books.engine.connect() as connection:
        rows = [
            str([bytes(v) if isinstance(v, memoryview) else v for v in row])
            for table in schema.METADATA.sorted_tables
            for row in connection.execute(sa.select(table))
        ]
    stored = "".join(rows)
    assert key.slug in stored
    assert key.reveal() not in stored
    assert "canary-in-the-vault" not in stored
    assert books.vault.get(key.slug)["DATABASE_URL"].reveal() == "canary-in-the-vault"
    assert books.sessions.key_of(key.slug) == key


def test_no_file_holds_a_key_or_a_secret_in_the_clear(books: Books, tmp_path: Path) -> None:
    if books.engine.dialect.name != "sqlite":
        pytest.skip("another database's files are its own")
    key = books.sessions.mint()
    books.sessions.open(key)
    books.vault.put(key.slug, "database", {"DATABASE_URL": Secret("canary-in-the-vault")})
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key.slug.encode() in on_disk
    assert key.reveal().encode() not in on_disk
    assert b"canary-in-the-vault" not in on_disk


async def test_events_are_numbered_without_gaps_and_wake_whoever_waits(books: Books) -> None:
    waiting = asyncio.create_task(books.events.wait("slug", 0, 10))
    await asyncio.sleep(0)
    books.events.append("slug", "one", {})
    assert [event.type for event in await waiting] == ["one"]
    books.events.append("slug", "two", {"n": 2})
    found = books.events.since("slug", 0)
    assert [(e.seq, e.type, str(e.at.tzinfo)) for e in found] == [(1, "one", "UTC"), (2, "two", "UTC")]


def test_events_of_many_writers_at_once_are_numbered_without_gaps(books: Books) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: books.events.append("slug", "n", {"n": n}), range(64)))
    found = books.events.since("slug", 0)
    assert [event.seq for event in found] == list(range(1, 65))
    assert {event.data["n"] for event in found} == set(range(64))


async def test_an_event_of_another_process_wakes_whoever_waits_here(books: Books, store_url: str) -> None:
    if books.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one process")
    other = Books.over(open_engine(store_url), Secret("x" * 43 + "="))
    listening = asyncio.create_task(books.events.listen())
    try:
        async with asyncio.timeout(10):
            seen = 0
            while not _listens(books):  # noqa: ASYNC110 - another program says so
                await asyncio.sleep(0.01)
            for n in range(3):
                waiting = asyncio.create_task(books.events.wait("slug", seen, 10))
                other.events.append("slug", "told", {"n": n})
                seen = (await waiting)[-1].seq
        assert seen == 3
    finally:
        listening.cancel()
        other.engine.dispose()


def _listens(books: Books) -> bool:
    query = sa.text("select count(*) from pg_stat_activity where query like 'LISTEN mk0r_events%'")
    with books.engine.connect() as connection:
        return bool(connection.execute(query).scalar())


def test_books_of_an_earlier_version_are_brought_up_to_date(store_url: str) -> None:
    engine = open_engine(store_url)
    old = ["round", "used_at", "ending_at"]
    with writing(engine) as connection:
        connection.execute(sa.text("DROP TABLE turns"))
        connection.execute(sa.text("DROP INDEX ix_sessions_ending_at"))
        for column in old:
            connection.execute(sa.text(f"ALTER TABLE sessions DROP COLUMN {column}"))
    engine.dispose()
    with ThreadPoolExecutor(4) as pool:  # several servers start at once
        engines = list(pool.map(lambda _: open_engine(store_url), range(4)))
    there = {column["name"] for column in sa.inspect(engines[0]).get_columns("sessions")}
    assert there >= {*old, "slug"}
    assert sa.inspect(engines[0]).has_table("turns")
    assert "ix_sessions_ending_at" in {index["name"] for index in sa.inspect(engines[0]).get_indexes("sessions")}
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    ("asked", "legs"),
    [
        (None, LEGS),
        (["database"], ("database", "vm")),
        (["neon", " Mail "], ("database", "mail", "vm")),
        (["none"], ("vm",)),
    ],
)
def test_services_go_by_their_own_or_their_vendors_name(asked: list[str] | None, legs: tuple[str, ...]) -> None:
    assert chosen_services(asked) == legs


def test_an_unknown_service_is_named_with_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"redis.*Choose from database, mail, analytics, git"):
        chosen_services(["redis"])


def test_each_leg_chooses_vendor_or_twin_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().twins() == {"neon", "resend", "posthog", "github", "e2b", "anthropic"}
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")
    settings = Settings()
    assert settings.twins() == {"neon", "resend", "posthog", "github", "e2b"}
    local = settings.with_local({"neon_base_url": "http://localhost:1", "model": "rehearsal"})
    assert (local.neon_base_url, local.model) == ("http://localhost:1", "claude-sonnet-5-5")


def test_a_live_vm_with_local_services_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_API_KEY", "e2b_x")
    with pytest.raises(BadInput, match="cannot reach the local neon, posthog, resend"):
        Settings().check()


def test_a_live_vm_whose_app_cannot_reach_the_relay_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("E2B_API_KEY", "NEON_API_KEY", "RESEND_API_KEY", "RESEND_FROM", "POSTHOG_KEY"):
        monkeypatch.setenv(name, "live")
    with pytest.raises(BadInput, match=r"contacts relay\. Set MK0R_PUBLIC_URL"):
        Settings().check()
    monkeypatch.setenv("MK0R_PUBLIC_URL", "https://mk0r.example")
    Settings().check()


def test_a_key_with_the_slug_of_another_opens_nothing(books: Books) -> None:
    key, other = books.sessions.mint(), books.sessions.mint()
    books.sessions.open(other)
    with writing(books.engine) as connection:  # as if the two hashed to one slug
        connection.execute(sa.update(SESSIONS).values(slug=key.slug))
    with pytest.raises(UnknownSession):
        books.sessions.open(key)


def test_a_use_counts_whichever_door_it_came_by(books: Books) -> None:
    slugs = [books.sessions.open(books.sessions.mint()).slug for _ in range(2)]
    long_ago = datetime.now(UTC) - timedelta(days=9)
    with writing(books.engine) as connection:
        connection.execute(sa.update(SESSIONS).values(created_at=long_ago, used_at=long_ago))
    books.sessions.note_use(slugs[0])
    assert books.sessions.unused(since=datetime.now(UTC) - timedelta(days=1)) == slugs[1:]


def test_a_use_that_was_not_noted_because_one_was_lately_is_reckoned_with(books: Books) -> None:
    key = books.sessions.mint()
    books.sessions.open(key)
    now = datetime.now(UTC)
    with writing(books.engine) as connection:
        connection.execute(sa.update(SESSIONS).values(used_at=now - timedelta(minutes=59)))
    books.sessions.authenticate(key.reveal())  # noted 59 minutes ago, so not again
    assert books.sessions.unused(since=now - timedelta(minutes=30)) == []
    assert not books.sessions.end(key.slug, unused_since=now - timedelta(minutes=30))


def test_servers_that_share_a_database_must_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MK0R_DATABASE_URL", "postgresql://localhost/mk0r")
    with pytest.raises(BadInput, match="MK0R_SECRET_KEY is not"):
        Settings().check()


def test_a_listing_may_stop_at_the_newest_and_says_how_many_there_are(books: Books) -> None:
    opened = [books.sessions.open(books.sessions.mint()).slug for _ in range(5)]
    assert [session.slug for session in books.sessions.all(2)] == opened[:2:-1]
    assert books.sessions.count() == 5
    assert [leg.name for leg in books.sessions.all(1)[0].legs] == ["database", "mail", "analytics", "git", "vm"]
