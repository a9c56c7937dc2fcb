"""A session that was made ahead, as the API, the command line and the page see it."""

# pyright: reportPrivateUsage=false
# (a test may look inside)

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

from agent_loop.cli.client import Event
from agent_loop.cli.screen import Screen
from agent_loop.cli.story import Story
from server.settings import LEGS
from tests.server.test_pool import WARM_STORY
from tests.web.test_api import OPERATOR, make, story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from agent_loop.web.boot import Parts


@pytest.fixture(autouse=True)
def one_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MK0R_POOL_SIZE", "1")


@pytest.fixture
async def pooled(one_ahead: None, parts: Parts) -> AsyncIterator[Parts]:
    """With one session ready; none is left behind."""
    await _until(parts, ready=1, making=0)
    yield parts
    parts.core.pool._entries.size = 0
    await _until(parts, ready=0, making=0)


async def _until(parts: Parts, **numbers: int) -> None:
    async with asyncio.timeout(60):
        while not parts.core.pool.view().items() >= numbers.items():
            parts.core.pool._changed.set()
            await asyncio.sleep(0.02)


async def test_a_request_gets_the_session_made_ahead_and_its_story_from_the_start(
    pooled: Parts, served: httpx.AsyncClient
) -> None:
    [waiting] = [entry.slug for entry in pooled.core.pool._entries.all()]
    operators: Any = (await served.get("/api/sessions", headers=OPERATOR)).json()
    assert operators["sessions"] == [], "it is nobody's yet"
    assert (await served.get("/api/doctor", headers=OPERATOR)).json()["pool"]["ready"] == 1
    made = await make(served)
    assert made.slug == waiting
    told = await story(served, made)
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    kinds = [event["type"] for event in told]
    assert kinds[:9] == WARM_STORY
    assert kinds[-1] == "run.finished", "the agent found its session ready and went to work"
    shown = (await served.get(made.url, headers=made.auth)).json()
    assert (shown["state"], shown["idea"]) == ("ready", told[0]["idea"])
    printed = _as_printed(told)
    assert [leg for leg in LEGS if f"{leg:<10} made" in printed] == [*LEGS]
    assert "made ahead" in printed


def _as_printed(told: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    teller = Story(Screen(out))
    for event in told:
        teller.tell(Event(event["seq"], event["type"], event))
    return out.getvalue()
