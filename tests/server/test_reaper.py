"""The reaper: all orphans, and nothing that is somebody's, among ten thousand things."""

# pyright: reportPrivateUsage=false, reportUnknownVariableType=false
# (a test may look inside)

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server import parts
from server.books.database import writing
from server.books.record import Leg
from server.books.schema import LEGS, SESSIONS
from server.ending import Ending
from server.errors import LegError
from server.reaper import Reaper
from server.secrets import Secret
from server.settings import VENDOR_OF, LegName, Settings
from server.vm.sandbox import Sandboxes
from tests.faults.warehouse import Warehouse, open_warehouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.books.books import Books

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD, FRESH = (NOW - timedelta(days=2)).isoformat(), (NOW - timedelta(minutes=5)).isoformat()
REFERENCE: dict[LegName, str] = {"database": "project_id", "mail": "segment_id", "git": "full_name", "vm": "sandbox_id"}
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


@pytest.fixture
async def warehouse() -> AsyncIterator[Warehouse]:
    async with open_warehouse() as made:
        yield made


@pytest.fixture
async def reaper(books: Books, warehouse: Warehouse) -> AsyncIterator[Reaper]:
    key, url = Secret("key"), warehouse.url
    update: dict[str, Any] = {
        **{f"{vendor}_base_url": url for vendor in ("neon", "resend")},
        **{f"limit_{vendor}": "0" for vendor in ("neon", "resend", "github", "e2b")},
        **dict.fromkeys(("neon_api_key", "resend_api_key", "github_token", "e2b_api_key"), key),
        "github_api_url": url,
        "github_owner": "mk0r",
        "e2b_api_url": url,
    }
    settings = Settings().model_copy(update=update)
    async with httpx.AsyncClient() as http:
        speak = parts.vendors(settings, books.engine, http)
        legs = parts.legs(settings, books, speak, Sandboxes(settings))
        ending = Ending(books, legs, budget_seconds=10)
        yield Reaper(
            books,
            legs,
            ending,
            grace=timedelta(hours=1),
            cap=2500,
            ttl=timedelta(days=30),
            clock=lambda: NOW,
        )


def sessions(books: Books, number: int, state: str, legs: dict[LegName, dict[str, str]], random: Random) -> list[str]:
    """So many sessions in this state; `{}` in a reference stands for the slug."""
    slugs = ["".join(random.choices(LETTERS, k=12)) for _ in range(number)]
    row = {"key_hash": "x", "idea": "", "state": state, "generation": 1, "services": [], "created_at": NOW}
    with writing(books.engine) as connection:
        connection.execute(sa.insert(SESSIONS), [{"slug": slug, **row} for slug in slugs])
        rows = [
            {"slug": slug, "name": name, "outcome": _stands(name, {k: v.format(slug) for k, v in reference.items()})}
            for slug in slugs
            for name, reference in legs.items()
        ]
        if rows:
            connection.execute(sa.insert(LEGS), rows)
    return slugs


def _stands(name: LegName, reference: dict[str, str]) -> Any:
    return Leg(name=name, vendor=VENDOR_OF[name], outcome="made", reference=reference).model_dump(mode="json")


CLAIMS: dict[LegName, dict[str, str]] = {
    "database": {"project_id": "claimed-p-{}"},
    "mail": {"segment_id": "claimed-s-{}", "key_id": "claimed-k-{}"},
    "git": {"full_name": "mk0r/mk0r-{}"},
    "vm": {"sandbox_id": "claimed-v-{}"},
}


def things(slugs: list[str], mark: str, at: str, warehouse: Warehouse, *, repositories: bool = True) -> None:
    """One of each kind for each session, ids beginning with `mark`."""
    for slug in slugs:
        name = f"mk0r-{slug}"
        warehouse.projects.append({"id": f"{mark}-p-{slug}", "name": name, "at": at})
        warehouse.segments.append({"id": f"{mark}-s-{slug}", "name": f"{name} Users", "at": at})
        warehouse.keys.append({"id": f"{mark}-k-{slug}", "name": f"{name}-1", "at": at})
        warehouse.sandboxes.append({"id": f"{mark}-v-{slug}", "name": name, "at": at})
        if repositories:
            warehouse.repositories.append({"id": f"{mark}-r-{slug}", "name": name, "at": at})


def foreigners(warehouse: Warehouse, random: Random) -> None:
    """A thousand things that are not ours: other names, names nearly ours, and another installation's."""
    for number in range(200):
        slug = "".join(random.choices(LETTERS, k=12))
        near = random.choice(
            ["production", f"mk0r-{slug}-copy", f"x-mk0r-{slug}", "mk0r-short", f"mk0r-{slug.upper()}"]
        )
        theirs = f"mk0r-{slug}" if number % 2 else near
        warehouse.projects.append({"id": f"foreign-p-{number}", "name": theirs, "at": OLD})
        warehouse.segments.append({"id": f"foreign-s-{number}", "name": f"{theirs} Users", "at": OLD})
        warehouse.keys.append({"id": f"foreign-k-{number}", "name": theirs, "at": OLD})
        warehouse.sandboxes.append({"id": f"foreign-v-{number}", "name": theirs, "at": OLD})
        repository = {"id": f"foreign-r-{number}", "name": theirs, "at": OLD}
        warehouse.repositories.append(repository if number % 2 else {**repository, "private": False})


async def test_among_ten_thousand_things_all_orphans_go_and_nothing_else(
    books: Books, warehouse: Warehouse, reaper: Reaper
) -> None:
    random = Random(1)
    live = sessions(books, 900, "ready", CLAIMS, random)
    things(live, "claimed", OLD, warehouse)
    things(live[:50], "orphan", OLD, warehouse, repositories=False)  # doubles that nobody claims
    things(live[50:60], "young", FRESH, warehouse, repositories=False)
    making = sessions(books, 100, "provisioning", {}, random)
    things(making, "claimed", OLD, warehouse)
    things(sessions(books, 690, "destroyed", {}, random), "orphan", OLD, warehouse)
    things(sessions(books, 62, "destroyed", {}, random), "young", FRESH, warehouse)
    foreigners(warehouse, random)
    # A repository with our name that lost its mark is not provably ours, whatever our books say.
    gone = sessions(books, 1, "destroyed", {}, random)[0]
    lost = {"id": "foreign-unmarked", "name": f"mk0r-{gone}", "at": OLD, "description": "mine now"}
    warehouse.repositories.append(lost)
    for kind in (warehouse.projects, warehouse.segments, warehouse.keys, warehouse.sandboxes, warehouse.repositories):
        random.shuffle(kind)
    before = warehouse.all()
    assert len(before) == 10_001
    assert sum(thing["id"].startswith("foreign") for thing in before) == 1001
    orphans = {thing["id"] for thing in before if thing["id"].startswith("orphan")}

    dry = await reaper.sweep()
    assert (len(dry.orphans), dry.removed, warehouse.removed) == (len(orphans), 0, [])
    first = await reaper.sweep(apply=True)
    assert (first.removed, len(warehouse.removed)) == (2500, 2500), "the cap holds"
    assert first.left == len(orphans) - 2500
    second = await reaper.sweep(apply=True)
    assert (second.left, second.failed) == (0, [])
    assert set(warehouse.removed) == orphans
    assert len(warehouse.removed) == len(orphans)
    third = await reaper.sweep(apply=True)
    assert (third.orphans, third.removed) == ([], 0)
    assert third.unrecorded, "what is not in our books is told"


HOLES = ["/projects", "/segments", "/api-keys", "/user/repos", "/v2/sandboxes"]


@pytest.mark.parametrize("hole", HOLES)
async def test_one_listing_with_a_hole_and_nothing_is_removed_anywhere(
    books: Books, warehouse: Warehouse, reaper: Reaper, hole: str
) -> None:
    things(sessions(books, 450, "destroyed", {}, Random(2)), "orphan", OLD, warehouse)
    warehouse.hole = hole
    with pytest.raises(LegError):
        await reaper.sweep(apply=True)
    assert warehouse.removed == []


@pytest.mark.parametrize("listing", ["/projects", "/segments", "/api-keys", "/user/repos"])
async def test_a_listing_that_goes_in_circles_is_no_listing(
    books: Books, warehouse: Warehouse, reaper: Reaper, listing: str
) -> None:
    things(sessions(books, 450, "destroyed", {}, Random(8)), "orphan", OLD, warehouse)
    warehouse.circle = listing
    async with asyncio.timeout(60):
        with pytest.raises(LegError, match="could not list everything"):
            await reaper.sweep(apply=True)
    assert warehouse.removed == []


async def test_what_is_claimed_between_look_and_removal_stays(
    books: Books, warehouse: Warehouse, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug = sessions(books, 1, "ready", CLAIMS, Random(3))[0]
    things([slug], "orphan", OLD, warehouse, repositories=False)
    look = reaper._sort

    def sort_and_lose(*arguments: Any) -> None:
        look(*arguments)
        books.rounds.forget(slug, arguments[0])  # the leg is begun anew: it may adopt what it finds

    monkeypatch.setattr(reaper, "_sort", sort_and_lose)
    found = await reaper.sweep(apply=True)
    assert len(found.orphans) >= 3
    assert (found.removed, warehouse.removed) == (0, [])


async def test_sessions_nobody_uses_are_ended_and_those_in_use_are_not(
    books: Books, warehouse: Warehouse, reaper: Reaper
) -> None:
    idle, used = (sessions(books, 1, "ready", CLAIMS, Random(seed))[0] for seed in (4, 5))
    things([idle, used], "claimed", OLD, warehouse)
    with writing(books.engine) as connection:
        connection.execute(sa.update(LEGS).values(intent_at=NOW, attempt=1))
        long_ago = NOW - timedelta(days=40)
        connection.execute(sa.update(SESSIONS).values(created_at=long_ago))
        connection.execute(sa.update(SESSIONS).where(SESSIONS.c.slug == used).values(used_at=NOW))
    assert (await reaper.sweep()).abandoned == [idle]
    assert books.sessions.by_slug(idle).state == "ready", "a dry run ends nothing"
    assert (await reaper.sweep(apply=True)).ended == 1
    assert books.sessions.by_slug(idle).state == "destroyed"
    assert books.sessions.by_slug(used).state == "ready"
    assert {thing["id"].rpartition("-")[2] for thing in warehouse.all()} == {used}


async def test_a_session_used_since_the_look_is_not_ended(books: Books, reaper: Reaper) -> None:
    slug = sessions(books, 1, "ready", {}, Random(6))[0]
    with writing(books.engine) as connection:
        connection.execute(sa.update(SESSIONS).values(created_at=NOW - timedelta(days=40)))
    found = await reaper.sweep()
    assert found.abandoned == [slug]
    with writing(books.engine) as connection:
        connection.execute(sa.update(SESSIONS).values(used_at=NOW))  # its owner came back just now
    await reaper._remove(found)
    assert (found.ended, books.sessions.by_slug(slug).ending) == (0, False)


async def test_it_sweeps_by_itself_and_goes_on_after_a_listing_with_a_hole(
    books: Books, warehouse: Warehouse, reaper: Reaper, caplog: pytest.LogCaptureFixture
) -> None:
    things(sessions(books, 110, "destroyed", {}, Random(7)), "orphan", OLD, warehouse)
    there, warehouse.hole = len(warehouse.all()), "/user/repos"
    sweeping = asyncio.create_task(reaper.keep_sweeping(timedelta(milliseconds=10)))
    async with asyncio.timeout(60):
        while "removed nothing" not in caplog.text:  # noqa: ASYNC110 - a log is what it waits for
            await asyncio.sleep(0.01)
        assert warehouse.removed == []
        warehouse.hole = ""
        while len(warehouse.removed) < there:  # noqa: ASYNC110 - another process removes
            await asyncio.sleep(0.01)
    sweeping.cancel()
