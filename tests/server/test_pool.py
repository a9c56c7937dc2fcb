"""The warm pool: every entry handed out once, whole and of today's making, or destroyed; and nobody's until then."""

# pyright: reportPrivateUsage=false
# (a test may look inside)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from server.books.books import Books
from server.books.database import open_engine, writing
from server.books.record import Leg
from server.books.schema import LEGS, POOL, SESSIONS
from server.pool import entries, recipe
from server.pool.claims import Claims
from server.pool.entries import Entries
from server.secrets import Secret
from server.settings import LEGS as ALL_LEGS
from server.settings import VENDOR_OF, Settings
from tests.faults.stores import VAULT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.books.record import SessionKey

TODAY = "recipe of today"
AGE = 3600.0
CLAIMERS, STOCK = 64, 8
WARM_STORY = ["session.created", "provisioning", *["leg.finished"] * 5, "env.written", "provisioned"]


@dataclass(frozen=True)
class Shop:
    """One server's part in a pool, without what makes entries."""

    books: Books
    entries: Entries
    claims: Claims

    @classmethod
    def over(cls, books: Books, made_from: str = TODAY, *, size: int = STOCK) -> Shop:
        return cls(
            books,
            Entries(books, made_from, size=size, max_age_seconds=AGE),
            Claims(books, made_from, max_age_seconds=AGE),
        )

    def stock(self, number: int) -> list[str]:
        """So many entries, whole, the oldest first."""
        return [self.kept(slug) for _ in range(number) if (slug := self.entries.reserve())]

    def kept(self, slug: str) -> str:
        """A reserved entry, as the provisioner would have left it."""
        with writing(self.books.engine) as connection:
            self.books.events.append_within(connection, slug, "provisioning", {"legs": [*ALL_LEGS]})
            for name in ALL_LEGS:
                leg = Leg(name=name, vendor=VENDOR_OF[name], outcome="made", ms=1234, reference={"id": slug})
                row = {"slug": slug, "name": name, "outcome": leg.model_dump(mode="json")}
                connection.execute(sa.insert(LEGS).values(**row))
                told = leg.model_dump(mode="json", include={"outcome", "ms", "env_names", "error", "vendor"})
                self.books.events.append_within(connection, slug, "leg.started", {"leg": name})
                self.books.events.append_within(connection, slug, "leg.finished", {"leg": name, **told})
            self.books.events.append_within(connection, slug, "env.written", {"names": [], "ms": 7})
            self.books.events.append_within(connection, slug, "provisioned", {"ms": 4321, "state": "ready"})
            connection.execute(sa.update(SESSIONS).where(SESSIONS.c.slug == slug).values(state="ready", generation=1))
        self.entries.keep(slug)
        return slug

    def older(self, slug: str, seconds: float) -> None:
        with writing(self.books.engine) as connection:
            earlier = {"made_at": POOL.c.made_at - seconds, "since": POOL.c.since - seconds}
            connection.execute(sa.update(POOL).where(POOL.c.slug == slug).values(**earlier))

    def states(self) -> list[str]:
        return [entry.state for entry in self.entries.all()]


@pytest.fixture
def shop(books: Books) -> Shop:
    return Shop.over(books)


@pytest.fixture
def next_door(books: Books, store_url: str) -> Iterator[Shop]:
    """Another server on the same database."""
    engine = open_engine(store_url)
    yield Shop.over(Books.over(engine, VAULT_KEY))
    engine.dispose()


def at_once(work: Callable[[int], Any], times: int) -> list[Any]:
    """The results of so many threads that begin together."""
    begin = Barrier(times)

    def begun(number: int) -> Any:
        begin.wait(20)
        return work(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(begun, range(times)))


def test_of_many_claimers_on_two_servers_each_entry_goes_to_one(
    shop: Shop, next_door: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MAKING_AT_ONCE", STOCK)
    stocked = shop.stock(STOCK)
    if shop.books.engine.dialect.name == "postgresql":
        # Every entry has a transaction of its own open on it at one moment, or this breaks.
        all_inside = Barrier(STOCK)

        def wait(_: str) -> None:
            all_inside.wait(20)

        for claims in (shop.claims, next_door.claims):
            monkeypatch.setattr(claims, "_at", wait)
    claims = (shop.claims, next_door.claims)
    keys: list[SessionKey | None] = at_once(lambda n: claims[n % 2].take(f"idea {n}"), CLAIMERS)
    got = [key.slug for key in keys if key]
    assert sorted(got) == sorted(stocked)
    assert shop.states() == ["claimed"] * STOCK
    for number, key in enumerate(keys):
        if key:
            assert shop.books.sessions.authenticate(key.reveal()).idea == f"idea {number}"
    assert shop.claims.take("one more") is None


def test_the_oldest_goes_first(shop: Shop) -> None:
    first, second = shop.stock(2)
    assert [key.slug for key in (shop.claims.take(""), shop.claims.take("")) if key] == [first, second]


def test_a_claimed_session_is_like_one_just_made(shop: Shop) -> None:
    [slug] = shop.stock(1)
    with writing(shop.books.engine) as connection:
        connection.execute(sa.update(SESSIONS).values(created_at=datetime.now(UTC) - timedelta(hours=9)))
    key = shop.claims.take("a run tracker")
    assert key is not None
    assert key.slug == slug
    session = shop.books.sessions.authenticate(key.reveal())
    assert (session.state, session.idea, session.services) == ("ready", "a run tracker", [*ALL_LEGS])
    assert datetime.now(UTC) - session.created_at < timedelta(minutes=1)
    told = shop.books.events.since(slug, 0)
    assert [event.seq for event in told] == list(range(1, 10))
    assert [event.type for event in told] == WARM_STORY
    assert told[0].data == {"slug": slug, "app_id": f"mk0r-{slug}", "idea": "a run tracker", "ahead": True}
    assert [(event.data["leg"], event.data["outcome"]) for event in told[2:7]] == [(leg, "made") for leg in ALL_LEGS]
    assert told[-1].data["state"] == "ready"
    assert told[-1].data["ms"] < 4321, "how long its owner waited"
    assert all(datetime.now(UTC) - event.at < timedelta(minutes=1) for event in told)


def test_until_it_is_claimed_it_is_nobodys_session(shop: Shop) -> None:
    [slug] = shop.stock(1)
    making = shop.entries.reserve()
    mine = shop.books.sessions.open(shop.books.sessions.mint())
    in_two_hours = datetime.now(UTC) + timedelta(hours=2)
    assert making
    assert [session.slug for session in shop.books.sessions.all()] == [mine.slug]
    assert shop.books.sessions.unused(since=in_two_hours) == [mine.slug]
    shop.claims.take("")
    assert {session.slug for session in shop.books.sessions.all()} == {slug, mine.slug}
    assert shop.books.sessions.unused(since=in_two_hours) == [mine.slug, slug], "its time to live begins with the claim"


def test_servers_make_together_what_one_would(shop: Shop, next_door: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    both = (shop.entries, next_door.entries)
    made = at_once(lambda n: both[n % 2].reserve(), 16)
    assert len([slug for slug in made if slug]) == entries.MAKING_AT_ONCE
    monkeypatch.setattr(entries, "MAKING_AT_ONCE", 100)
    made += at_once(lambda n: both[n % 2].reserve(), 16)
    assert len({slug for slug in made if slug}) == STOCK == len(shop.entries.all())


def test_one_not_whole_is_never_handed_out_and_slows_all_servers_down(shop: Shop, next_door: Shop) -> None:
    slug = shop.entries.reserve()
    assert slug
    assert shop.claims.take("") is None, "it is still being made"
    assert shop.entries.fail(slug)
    assert not next_door.entries.fail(slug), "one server destroys it"
    assert shop.claims.take("") is None
    assert shop.books.sessions.by_slug(slug).ending
    assert shop.entries.reserve() is next_door.entries.reserve() is None
    shop.older(slug, entries.FIRST_PAUSE)
    again = next_door.entries.reserve()
    assert again
    next_door.entries.fail(again)
    shop.older(again, entries.FIRST_PAUSE)
    assert shop.entries.reserve() is None, "the pause doubles"
    shop.older(slug, entries.FIRST_PAUSE)
    shop.older(again, entries.FIRST_PAUSE)
    third = shop.entries.reserve()
    assert third
    shop.kept(third)
    assert shop.entries.reserve(), "what was made whole ends the pause"


def test_one_too_old_is_not_handed_out_but_destroyed(shop: Shop) -> None:
    old, young = shop.stock(2)
    shop.older(old, AGE)
    assert [key.slug for key in [shop.claims.take("")] if key] == [young]
    assert shop.claims.take("") is None
    assert shop.entries.retire() == [old]
    assert shop.entries.retire() == []
    assert shop.books.sessions.by_slug(old).ending
    assert shop.entries.reserve(), "its place is free"


def test_what_is_being_removed_cannot_be_claimed(shop: Shop, next_door: Shop) -> None:
    [slug] = shop.stock(1)
    shop.books.sessions.end(slug)  # somebody destroys it by its name
    assert shop.claims.take("") is next_door.claims.take("") is None
    assert shop.states() == ["leaving"]


def test_a_smaller_size_removes_the_oldest_and_none_removes_all(shop: Shop) -> None:
    one, two, three = shop.stock(3)
    assert set(Shop.over(shop.books, size=1).entries.retire()) == {one, two}
    off = Shop.over(shop.books, "", size=0)
    assert off.entries.reserve() is None
    assert off.entries.retire() == [three]


def test_what_another_version_made_is_not_handed_out_and_goes_in_a_while(shop: Shop) -> None:
    [slug] = shop.stock(1)
    newer = Shop.over(shop.books, "recipe of tomorrow")
    assert newer.claims.take("") is None
    assert newer.entries.retire() == [], "its own servers may still be there"
    shop.older(slug, entries.OTHERS_SECONDS)
    assert newer.entries.retire() == [slug]


def test_what_is_destroyed_is_no_entry_any_more(shop: Shop) -> None:
    old, failed = shop.stock(1)[0], shop.entries.reserve()
    assert failed
    shop.older(old, AGE)
    shop.entries.retire()
    shop.entries.fail(failed)
    shop.entries.bury()
    assert shop.states() == ["leaving", "failed"], "something of them is still there"
    with writing(shop.books.engine) as connection:
        assert shop.books.sessions.destroyed(connection, old)
        assert shop.books.sessions.destroyed(connection, failed)
    shop.entries.bury()
    assert shop.states() == ["failed"], "remembered, so that nobody hammers a vendor"
    shop.older(failed, entries.REMEMBERED_SECONDS)
    shop.entries.bury()
    assert shop.states() == []


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"e2b_template": "mk0r-2"}, True),
        ({"public_url": "https://mk0r.example"}, True),
        ({"neon_api_key": Secret("another account")}, True),
        ({"resend_from": "App <app@example.com>"}, True),
        ({"pool_size": 9, "limit_github": "1/s", "model": "another", "session_ttl_hours": 3}, False),
    ],
)
def test_a_recipe_changes_with_what_is_made(changed: dict[str, Any], counts: bool) -> None:
    settings, key = Settings(), Secret("vault")
    assert recipe.digest(settings, key) == recipe.digest(Settings(), Secret("vault"))
    assert (recipe.digest(settings.model_copy(update=changed), key) != recipe.digest(settings, key)) is counts
    assert recipe.digest(settings, Secret("another")) != recipe.digest(settings, key)
