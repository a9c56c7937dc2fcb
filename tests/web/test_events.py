"""The event stream, and the gathering of what a model says piece by piece."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.datastructures import Headers, QueryParams

from agent_loop.web import events
from agent_loop.web.runs import Told
from server.books.store import METADATA, Events, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLUG = "abcdefghijkl"
BOUND = 5


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Events]:
    engine = open_engine(f"sqlite:///{tmp_path / 'events.sqlite'}")
    METADATA.create_all(engine)
    yield Events(engine)
    engine.dispose()


async def read(told: Events, *, after: str = "0", follow: bool = False, most: int = 1000) -> list[dict[str, Any]]:
    """The events of one connection, until it ends or `most` have come."""
    request: Any = SimpleNamespace(
        headers=Headers({"last-event-id": after}), query_params=QueryParams({"follow": "1"} if follow else {})
    )
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(BOUND):
        async for block in events.stream(request, told, SLUG).body_iterator:
            fields = dict(line.split(": ", 1) for line in str(block).splitlines() if ": " in line)
            if "id" in fields:
                seen.append({"id": int(fields["id"]), "type": fields["event"], **json.loads(fields["data"])})
            if len(seen) >= most:
                break
    return seen


def add(told: Events, *types: str, **data: Any) -> None:
    for one in types:
        told.append(SLUG, one, data)


async def test_a_finished_story_is_told_from_the_start_and_the_stream_ends(told: Events) -> None:
    add(told, "session.created", "provisioned")
    add(told, "run.requested", "run.started", "run.finished", run="run-1")
    assert [event["id"] for event in await read(told)] == [1, 2, 3, 4, 5]


async def test_a_reader_that_comes_back_gets_what_it_has_not_seen(told: Events) -> None:
    add(told, "session.created", "provisioned")
    add(told, "run.requested", "run.finished", run="run-1")
    assert [event["id"] for event in await read(told, after="2")] == [3, 4]
    assert await read(told, after="4") == []
    assert len(await read(told, after="not a number")) == 4


async def test_the_stream_stays_open_while_something_is_under_way(told: Events) -> None:
    add(told, "session.created", "provisioned")
    add(told, "run.requested", run="run-1")
    reading = asyncio.create_task(read(told))
    await asyncio.sleep(0)
    add(told, "run.started", "run.finished", run="run-1")
    assert [event["type"] for event in await reading][-1] == "run.finished"


async def test_an_earlier_runs_end_does_not_end_the_stream_of_a_later_one(told: Events) -> None:
    add(told, "session.created", "provisioned")
    add(told, "run.requested", "run.finished", run="run-1")
    add(told, "run.requested", run="run-2")
    reading = asyncio.create_task(read(told))
    await asyncio.sleep(0)
    add(told, "run.finished", run="run-2")
    assert (await reading)[-1]["run"] == "run-2"


async def test_a_follower_stays_after_the_end(told: Events) -> None:
    add(told, "session.created", "provisioned")
    reading = asyncio.create_task(read(told, follow=True, most=3))
    await asyncio.sleep(0)
    add(told, "run.requested", run="run-1")
    assert (await reading)[-1]["type"] == "run.requested"


async def test_what_a_model_says_is_told_in_few_events_and_in_order() -> None:
    out: list[tuple[str, dict[str, Any]]] = []
    told = Told(lambda kind, data: out.append((kind, data)))
    for word in ("I ", "will ", "look."):
        told("text", {"text": word})
    told("thinking", {"text": "hm"})
    told("tool.started", {"id": "1"})
    told("text", {"text": "Done."})
    told.flush()
    told.flush()
    assert out == [
        ("text", {"text": "I will look."}),
        ("thinking", {"text": "hm"}),
        ("tool.started", {"id": "1"}),
        ("text", {"text": "Done."}),
    ]


async def test_what_a_model_says_is_told_within_a_moment_even_if_nothing_follows() -> None:
    out = asyncio.Event()
    told = Told(lambda _kind, _data: out.set())
    told("text", {"text": "Hello"})
    async with asyncio.timeout(BOUND):
        await out.wait()
