"""The state machine of provisioning, in both kinds of database: who may begin, who may record, who is overtaken."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportArgumentType=false, reportPrivateUsage=false
# (small stand-ins and executors map lambdas whose types are not spelled out)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from server.books.database import writing
from server.books.record import Leg, Problem
from server.errors import BadInput
from server.settings import LEGS, VENDOR_OF, LegName

if TYPE_CHECKING:
    from server.books.books import Books
    from server.books.record import Session


def begun(books: Books, services: tuple[LegName, ...] = LEGS) -> str:
    key = books.sessions.mint()
    books.sessions.open(key, services=services)
    books.rounds.plan(key.slug, services)
    return key.slug


def made(name: LegName, **reference: str) -> Leg:
    return Leg(name=name, vendor=VENDOR_OF[name], outcome="made", env_names=["NAME"], reference=reference)


def record(books: Books, slug: str, leg: Leg, attempt: int) -> bool:
    with writing(books.engine) as connection:
        return books.rounds.record(connection, slug, leg, attempt)


def finish(books: Books, slug: str, generation: int, unwritten: Problem | None = None) -> Session | None:
    """The session as the round's end left it; None when it was over already."""
    with writing(books.engine) as connection:
        state = books.rounds.finish(connection, slug, generation, unwritten)
    session = books.sessions.by_slug(slug)
    assert state in (None, session.state)
    return session if state else None


def intent_of(books: Books, slug: str, name: LegName) -> tuple[int, int, bool]:
    intent = books.rounds.intend(slug, name)
    assert intent is not None
    return intent.attempt, intent.life, intent.look


def test_a_first_attempt_pays_for_no_look_and_a_second_looks(books: Books) -> None:
    slug = begun(books)
    assert intent_of(books, slug, "git") == (1, 1, False)
    assert intent_of(books, slug, "git") == (2, 1, True)


def test_only_the_newest_attempt_may_record(books: Books) -> None:
    slug = begun(books)
    books.rounds.intend(slug, "git")
    books.rounds.intend(slug, "git")
    assert not record(books, slug, made("git", full_name="old"), 1)
    assert books.sessions.by_slug(slug).leg("git").outcome == "pending"
    assert record(books, slug, made("git", full_name="new"), 2)
    assert books.sessions.by_slug(slug).leg("git").reference == {"full_name": "new"}


def test_what_stands_is_not_intended_again(books: Books) -> None:
    slug = begun(books)
    books.rounds.intend(slug, "git")
    record(books, slug, made("git"), 1)
    assert books.rounds.intend(slug, "git") is None


def test_after_its_removal_a_leg_begins_anew_and_nothing_from_before_counts(books: Books) -> None:
    slug = begun(books)
    books.rounds.intend(slug, "vm")
    books.rounds.forget(slug, "vm")
    assert not record(books, slug, made("vm"), 1)
    assert intent_of(books, slug, "vm") == (3, 2, False)


def test_nothing_is_made_or_recorded_once_the_end_was_asked_for(books: Books) -> None:
    slug = begun(books)
    books.rounds.intend(slug, "git")
    books.sessions.end(slug)
    assert not record(books, slug, made("git"), 1)
    assert books.rounds.intend(slug, "mail") is None
    with pytest.raises(BadInput, match="being destroyed"):
        books.rounds.plan(slug, LEGS)


def test_callers_who_race_get_one_round(books: Books) -> None:
    key = books.sessions.mint()
    books.sessions.open(key)
    with ThreadPoolExecutor(8) as pool:
        planned = list(pool.map(lambda _: books.rounds.plan(key.slug, LEGS), range(16)))
    assert {(session.generation, *session.round) for session in planned} == {(1, *LEGS)}


def test_attempts_that_race_get_different_numbers(books: Books) -> None:
    slug = begun(books)
    with ThreadPoolExecutor(8) as pool:
        intents = list(pool.map(lambda _: books.rounds.intend(slug, "mail"), range(16)))
    assert sorted(intent.attempt for intent in intents if intent) == list(range(1, 17))
    assert sum(not intent.look for intent in intents if intent) == 1


def test_a_round_ends_once_and_only_by_its_own_number(books: Books) -> None:
    slug = begun(books, ("git",))
    books.rounds.intend(slug, "git")
    record(books, slug, made("git"), 1)
    assert finish(books, slug, 2) is None
    ended = finish(books, slug, 1)
    assert ended is not None
    assert ended.state == "ready"
    assert finish(books, slug, 1) is None


def test_a_leg_asked_for_meanwhile_gets_the_next_round_and_no_other_does(books: Books) -> None:
    slug = begun(books, ("git",))
    asked = books.rounds.plan(slug, ("mail",))
    assert (asked.generation, asked.round, asked.services) == (1, ["git"], ["mail", "git"])
    books.rounds.intend(slug, "git")
    record(books, slug, made("git"), 1)
    ended = finish(books, slug, 1)
    assert ended is not None
    assert (ended.state, ended.generation, ended.round) == ("provisioning", 2, ["mail"])


def test_a_leg_asked_for_later_gets_a_round_of_its_own(books: Books) -> None:
    slug = begun(books, ("git",))
    books.rounds.intend(slug, "git")
    record(books, slug, made("git"), 1)
    finish(books, slug, 1)
    asked = books.rounds.plan(slug, ("mail", "git"))
    assert (asked.state, asked.generation, asked.round) == ("provisioning", 2, ["mail"])
    assert asked.services == ["mail", "git"]


def test_a_leg_without_a_word_is_failed_and_not_tried_for_ever(books: Books) -> None:
    slug = begun(books, ("git", "mail"))
    books.rounds.intend(slug, "git")
    record(books, slug, made("git"), 1)
    ended = finish(books, slug, 1)
    assert ended is not None
    assert (ended.state, ended.leg("mail").outcome) == ("partial", "failed")


def test_what_is_made_after_its_round_has_ended_gets_a_round_that_says_so(books: Books) -> None:
    """One server is slow at a leg, another takes over from it, overtakes nothing and ends the round."""
    slug = begun(books, ("git", "mail"))
    books.rounds.intend(slug, "git")
    record(books, slug, made("git"), 1)
    books.rounds.intend(slug, "mail")
    ended = finish(books, slug, 1)
    assert ended is not None
    assert (ended.state, ended.leg("mail").outcome) == ("partial", "failed")
    assert record(books, slug, made("mail"), 1)
    assert slug in books.sessions.unfinished(), "somebody has to go on with it"
    ended = finish(books, slug, 2)
    assert ended is not None
    assert (ended.state, ended.round) == ("ready", [])


def test_a_vm_without_its_env_file_does_not_stand_and_is_not_forgotten(books: Books) -> None:
    slug = begun(books, ("vm",))
    books.rounds.intend(slug, "vm")
    record(books, slug, made("vm", sandbox_id="sbx"), 1)
    ended = finish(books, slug, 1, Problem(code="vm_write", message="no room"))
    assert ended is not None
    assert (ended.state, ended.leg("vm").outcome, ended.sandbox_id) == ("failed", "failed", "sbx")
    assert intent_of(books, slug, "vm") == (2, 1, True)
