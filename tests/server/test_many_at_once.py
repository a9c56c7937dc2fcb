"""More sessions asked for at once than a server can serve: the others wait, in order, and are told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.app import open_core
from server.local.home import Home
from server.local.stack import settings_from
from server.settings import Settings
from tests.server.driving import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.app import Core
    from tests.conftest import Stack

AT_ONCE, ASKED = 2, 5


@pytest.fixture
async def small(stack: Stack, tmp_path: Path) -> AsyncIterator[Core]:
    """A server that provisions two sessions at a time."""
    changes = {"sessions_at_once": AT_ONCE}
    settings = Settings().with_local(settings_from(stack.facts)).model_copy(update=changes)
    async with open_core(settings, Home(tmp_path)) as core:
        core.durable.launch()
        yield core
        await stack.heal()
        for session in core.sessions.all():
            await core.provisioner.destroy(session.slug)


async def test_no_more_are_provisioned_at_once_than_the_server_serves(small: Core, stack: Stack) -> None:
    early = small.sessions.mint()
    small.sessions.open(early, services=("analytics",))
    await small.provisioner.start(early.slug, ["analytics"])
    assert (await small.provisioner.wait(early.slug, 30)).state == "ready"
    await stack.fault("github", method="POST", path="/user/repos|/orgs/[^/]+/repos", hold="full")
    slugs: list[str] = []
    for _ in range(ASKED):
        key = small.sessions.mint()
        small.sessions.open(key, services=("git",))
        await small.provisioner.start(key.slug, ["git"])
        slugs.append(key.slug)
        told = "leg.started" if len(slugs) <= AT_ONCE else "queued"
        await until(lambda slug=key.slug, told=told: _is_told(small, slug, told))
    await until(lambda: _held(stack, AT_ONCE))
    queued = [event.data["place"] for slug in slugs for event in small.events.since(slug, 0) if event.type == "queued"]
    assert queued == [1, 2, 3]
    await small.provisioner.add(early.slug, ["database"])
    assert (await small.provisioner.wait(early.slug, 30)).state == "ready", "who has a session stands in no line"
    await stack.twin("github", "POST", "release", {"name": "full"})
    await stack.heal()
    for slug in slugs:
        assert (await small.provisioner.wait(slug, 30)).state == "ready"
    began = {slug: next(e.at for e in small.events.since(slug, 0) if e.type == "leg.started") for slug in slugs}
    assert sorted(slugs, key=lambda slug: began[slug]) == slugs


async def _held(stack: Stack, requests: int) -> bool:
    return (await stack.twin("github", "GET", "held"))["held"] == {"full": requests}


async def _is_told(core: Core, slug: str, event: str) -> bool:
    return any(each.type == event for each in core.events.since(slug, 0))
