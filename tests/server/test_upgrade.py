"""A release in the middle of a round: what the older began, the newer finishes, even in another order of steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from server import provision
from server.app import open_core
from server.environment import Environment
from server.local.home import Home
from server.local.stack import settings_from
from server.settings import LEGS, Settings
from tests.faults.vendors import at_vendors, on_record
from tests.server.driving import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Stack


async def test_a_round_begun_in_another_order_of_steps_is_finished(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal does not fit what the newer does, so that run ends, and a new round takes what already stands."""
    monkeypatch.setattr(provision, "RECOVER_SECONDS", 0.1)
    settings = Settings().with_local(settings_from(stack.facts))
    writing: list[asyncio.Task[Any]] = []

    async def never(_: Environment, __: str) -> None:
        writing.append(asyncio.current_task())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - in a task
        await asyncio.Event().wait()

    with monkeypatch.context() as older:
        older.setattr(provision, "LONGEST_FIRST", tuple(reversed(provision.LONGEST_FIRST)))
        older.setattr(Environment, "write", never)
        async with open_core(settings, Home(tmp_path)) as core:
            core.durable.launch()
            key = core.sessions.mint()
            core.sessions.open(key)
            await core.provisioner.start(key.slug, LEGS)
            await until(lambda: asyncio.sleep(0, writing))
            before = core.sessions.by_slug(key.slug)
            assert [leg.outcome for leg in before.legs] == ["made"] * len(LEGS)
    writing[0].cancel()
    async with open_core(settings, Home(tmp_path)) as core:
        core.durable.launch()
        after = await core.provisioner.wait(key.slug, 30)
        assert (after.state, after.legs, after.generation) == ("ready", before.legs, 2)
        assert await at_vendors(stack, after, LEGS) == on_record(after, LEGS)
        await core.provisioner.destroy(key.slug)
