"""The warm pool over the real stack: filled behind everything else, claimed through the doors, emptied when told."""

# pyright: reportPrivateUsage=false
# (a test may look inside)

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from mcp import Client

from server.books.record import SessionKey
from server.books.schema import SESSIONS
from server.local.home import Home
from server.pool import pool
from server.secrets import Secret
from server.settings import LEGS, VENDOR_OF, chosen_services
from tests.faults.vendors import at_vendors, on_record
from tests.server.driving import ALL_NAMES, CREATES, in_vm, names_in, until
from tests.server.test_pool import WARM_STORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from server.app import Core
    from server.books.record import Session
    from server.settings import LegName
    from tests.conftest import Stack

    Opens = Callable[..., Any]

EVERYTHING = ("database", "mail", "git", "vm")


@pytest.fixture
def opens(stack: Stack, tmp_path: Path, store_url: str) -> Opens:
    """Opens a server that keeps a pool of this size; the next one opened finds what the last one left."""
    from server.app import open_core
    from server.local.stack import settings_from
    from server.settings import Settings

    changes: dict[str, Any] = {"leg_budget_seconds": 15, "public_url": "http://localhost:1"}
    changes |= dict.fromkeys(("limit_resend", "limit_e2b"), "0")
    changes |= {"secret_key": Secret(Fernet.generate_key().decode())}
    if store_url.startswith("postgresql"):
        changes |= {"database_url": Secret(store_url)}
    settings = Settings().with_local(settings_from(stack.facts)).model_copy(update=changes)

    @asynccontextmanager
    async def opened(size: int, *, tidy: bool = True) -> AsyncGenerator[Core]:
        async with open_core(settings.model_copy(update={"pool_size": size}), Home(tmp_path)) as core:
            core.durable.launch()
            try:
                yield core
            finally:
                await stack.heal()
                if tidy:
                    core.pool._entries.size = 0
                    await until(lambda: shows(core, making=0))
                    for session in sessions(core):
                        await core.provisioner.destroy(session.slug)

    return opened


async def shows(core: Core, **numbers: int) -> bool:
    return core.pool.view().items() >= numbers.items()


async def filled(core: Core, ready: int = 1) -> None:
    await until(lambda: shows(core, ready=ready, making=0), seconds=40)


async def provision(core: Core, **arguments: Any) -> dict[str, Any]:
    async with Client(core.mcp) as client:
        answer = await client.call_tool("provision_session", {"wait_seconds": 0, **arguments})
    assert not answer.is_error, answer
    assert answer.structured_content
    return answer.structured_content


def told(core: Core, slug: str) -> list[str]:
    return [event.type for event in core.events.since(slug, 0)]


def sessions(core: Core) -> list[Session]:
    """Every session there ever was, the oldest first."""
    with core.books.engine.connect() as connection:
        slugs = connection.execute(sa.select(SESSIONS.c.slug).order_by(SESSIONS.c.created_at)).scalars().all()
    return [core.sessions.by_slug(slug) for slug in slugs]


async def says(core: Core, slug: str, kind: str) -> bool:
    return kind in told(core, slug)


async def destroyed(core: Core, made: list[Session]) -> bool:
    return all(core.sessions.by_slug(session.slug).state == "destroyed" for session in made)


async def test_a_claim_asks_no_vendor_and_the_pool_is_filled_again(opens: Opens, stack: Stack) -> None:
    async with opens(1) as core:
        await filled(core)
        [waiting] = sessions(core)
        assert waiting.sandbox_id
        assert core.sessions.all() == []
        await core.sandboxes.pause(waiting.sandbox_id)  # as it does by itself after its time
        for vendor in ("neon", "resend", "github", "e2b"):
            await stack.fault(vendor, hold="nobody answers")
        async with asyncio.timeout(10):
            answer = await provision(core)
        assert (answer["slug"], answer["state"], answer["env_names"]) == (waiting.slug, "ready", ALL_NAMES)
        assert told(core, waiting.slug) == WARM_STORY
        await stack.heal()
        await until(lambda: says(core, waiting.slug, "preview.ready"))
        key = SessionKey(answer["session_key"])
        assert names_in(await in_vm(core, key, "cat /app/.env")) == ALL_NAMES
        assert await at_vendors(stack, waiting, EVERYTHING) == on_record(waiting, EVERYTHING)
        await filled(core)
        assert [mine.slug for mine in core.sessions.all()] == [waiting.slug]
        assert (await provision(core, session_key=key.reveal()))["slug"] == waiting.slug, "a key has its own session"
        assert await core.pool.claim("", chosen_services(["database"])) is None, "who wants less gets less"
        assert await shows(core, ready=1)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("down", ["vm"])
async def test_what_is_not_whole_is_destroyed_and_never_handed_out(opens: Opens, stack: Stack, down: LegName) -> None:
    method, path = CREATES[down]
    await stack.fault(VENDOR_OF[down], method=method, path=path, status=422)
    async with opens(1) as core:
        await until(lambda: shows(core, failed=1), seconds=40)
        made = sessions(core)
        assert await core.pool.claim("", LEGS) is None
        await until(lambda: destroyed(core, made))
        for session in made:
            assert not any((await at_vendors(stack, session, EVERYTHING)).values())
        assert await shows(core, ready=0, making=0, failed=len(made))


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_what_a_server_left_the_next_goes_on_with_and_without_a_pool_it_is_removed(
    opens: Opens, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead(_: object) -> bool:
        return False

    async with opens(2, tidy=False) as core:
        await filled(core, ready=2)
        claimed, waiting = sessions(core)
    async with opens(2, tidy=False) as core:
        monkeypatch.setattr(core.pool, "_tend", dead)  # it dies right after the claim
        assert (await provision(core))["slug"] == claimed.slug
    monkeypatch.setattr(pool, "LEFT_SECONDS", 0)
    async with opens(0) as core:
        assert await core.pool.claim("", LEGS) is None
        await until(lambda: says(core, claimed.slug, "preview.ready"))
        await until(lambda: destroyed(core, [waiting]))
        assert not any((await at_vendors(stack, waiting, EVERYTHING)).values())
        assert [session.slug for session in core.sessions.all()] == [claimed.slug]
