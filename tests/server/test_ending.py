"""The end of a session: nothing stays, whatever was just being made."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from server import limits
from server.app import open_core
from server.books.turns import TurnBook
from server.local.home import Home
from server.local.stack import settings_from
from server.settings import SERVICES, Settings
from tests.faults.vendors import at_vendors, on_record
from tests.server.driving import CREATES, held, over, provisioned, until

if TYPE_CHECKING:
    from pathlib import Path

    from server.app import Core
    from tests.conftest import Stack


async def left_of_what_was_being_made(core: Core, stack: Stack, **fault: bool) -> object:
    """What Neon has of a session whose end came while it was making the project, which it then finishes."""
    await stack.fault("neon", method="POST", path="/api/v2/projects", hold="late", **fault)
    key = core.sessions.mint()
    core.sessions.open(key, services=("database",))
    await core.provisioner.start(key.slug, ("database",))
    await held(stack, "neon")
    await core.provisioner.destroy(key.slug)
    await stack.twin("neon", "POST", "release", {"name": "late"})
    await over(core, f"provision-{key.slug}-1")
    session = core.sessions.by_slug(key.slug)
    assert session.state == "destroyed"
    return await at_vendors(stack, session, ("database",))


async def test_what_is_just_being_made_when_the_end_comes_is_removed_too(core: Core, stack: Stack) -> None:
    assert await left_of_what_was_being_made(core, stack) == {"database": []}


async def test_what_was_made_although_nobody_heard_of_it_is_removed_after_the_end(core: Core, stack: Stack) -> None:
    assert await left_of_what_was_being_made(core, stack, lose_answer=True) == {"database": []}


async def test_an_end_that_hangs_holds_up_no_other(core: Core, stack: Stack) -> None:
    stuck, other = await provisioned(core, ("database",)), await provisioned(core, ("git",))
    await stack.fault("neon", method="DELETE", path="/api/v2/projects/.*", hold="never")
    for key in (stuck, other):
        core.sessions.end(key.slug)
    recovering = asyncio.create_task(core.provisioner.ending.recover(broken_off_for=timedelta(0)))
    await held(stack, "neon")
    await until(lambda: _is_destroyed(core, other.slug))
    assert core.sessions.by_slug(stuck.slug).ending
    await stack.twin("neon", "POST", "release", {"name": "never"})
    await recovering
    assert core.sessions.by_slug(stuck.slug).state == "destroyed"


async def _is_destroyed(core: Core, slug: str) -> bool:
    return core.sessions.by_slug(slug).state == "destroyed"


async def test_what_stands_in_a_vendors_line_when_the_end_comes_is_not_made(stack: Stack, tmp_path: Path) -> None:
    settings = Settings().with_local(settings_from(stack.facts)).model_copy(update={"limit_github": "1/s"})
    async with open_core(settings, Home(tmp_path)) as core:
        core.durable.launch()
        TurnBook(core.books.engine, "GitHub", limits.read("1/s")).reserve(60, calls=3)  # the line, 3 s long
        await stack.fault("github", method="POST", path=CREATES["git"][1], hold="never")
        key = core.sessions.mint()
        core.sessions.open(key, services=("git",))
        await core.provisioner.start(key.slug, ("git",))
        await until(lambda: _is_told(core, key.slug, "leg.queued"))
        await core.provisioner.destroy(key.slug)
        await over(core, f"provision-{key.slug}-1")
        assert (await stack.twin("github", "GET", "held"))["held"] == {}


async def _is_told(core: Core, slug: str, event: str) -> bool:
    return any(each.type == event for each in core.events.since(slug, 0))


async def test_an_attempt_that_was_overtaken_removes_what_nobody_claims(core: Core, stack: Stack) -> None:
    """What a server does that was stopped between its intent and its request, and wakes when another has finished."""
    await stack.fault("neon", method="POST", path="/api/v2/projects", hold="asleep", times=1)
    key = core.sessions.mint()
    core.sessions.open(key, services=("database",))
    core.books.rounds.plan(key.slug, ("database",))
    attempts = core.provisioner.attempts
    sleeper = asyncio.create_task(attempts.run(key.slug, "database"))
    await held(stack, "neon")
    winner = await attempts.run(key.slug, "database")
    await stack.twin("neon", "POST", "release", {"name": "asleep"})
    assert await sleeper == winner
    session = core.sessions.by_slug(key.slug)
    assert await at_vendors(stack, session, ("database",)) == on_record(session, ("database",))


async def test_destroying_a_session_removes_everything_and_may_be_repeated(core: Core, stack: Stack) -> None:
    key = await provisioned(core)
    session = core.sessions.by_slug(key.slug)
    await core.provisioner.destroy(key.slug)
    await core.provisioner.destroy(key.slug)
    assert core.sessions.by_slug(key.slug).state == "destroyed"
    assert core.vault.get(key.slug) == {}
    everywhere = await at_vendors(stack, session, (*SERVICES, "vm"))
    assert [*everywhere.values()] == [[]] * len(everywhere)
