"""Mail for later: what a `scheduled_at` may say, and that the mail leaves then, once, whatever happened in between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from server.twins.core import WireError
from server.twins.resend import schedule
from tests.resend_stage import MAIL, Clock, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-11-24T11:52:01.858Z", "2026-11-24T11:52:01.858+00:00"),
        ("2026-11-24T11:52:01+02:00", "2026-11-24T09:52:01+00:00"),
        ("2026-11-24 11:52", "2026-11-24T11:52:00+00:00"),
        ("in 1 min", "2026-11-23T09:01:00+00:00"),
        ("in 5 minutes", "2026-11-23T09:05:00+00:00"),
        ("in an hour", "2026-11-23T10:00:00+00:00"),
        ("in 3 days", "2026-11-26T09:00:00+00:00"),
        ("in 30 days", "2026-12-23T09:00:00+00:00"),
        ("tomorrow at 9am", "2026-11-24T09:00:00+00:00"),
        ("tomorrow", "2026-11-24T12:00:00+00:00"),
        ("today at 5:30pm", "2026-11-23T17:30:00+00:00"),
        ("at noon", "2026-11-23T12:00:00+00:00"),
        ("8am", "2026-11-24T08:00:00+00:00"),
        ("Friday at 3pm ET", "2026-11-27T20:00:00+00:00"),
        ("next Monday 10:00", "2026-11-23T10:00:00+00:00"),
        ("monday at 8am", "2026-11-30T08:00:00+00:00"),
        ("Wed at midnight PST", "2026-11-25T08:00:00+00:00"),
    ],
)
def test_what_a_time_means(said: str, meant: str) -> None:
    assert schedule.when(said, NOW).isoformat() == datetime.fromisoformat(meant).isoformat()


@pytest.mark.parametrize(
    "said",
    [
        *("soon", "", "in", "in minutes", "tomorrow at 25:00", "at 13pm", "in 31 days", "in 99999999999 weeks"),
        *("2026-11-23T08:59:59Z", "2027-01-01T00:00:00Z", "today at 8am", "yesterday"),
    ],
)
def test_what_is_no_time_or_one_too_far_or_gone_is_refused(said: str) -> None:
    with pytest.raises(WireError) as refused:
        schedule.when(said, NOW)
    assert (refused.value.status, refused.value.body["name"]) == (422, "validation_error")


async def test_a_scheduled_mail_leaves_when_it_is_due(twin: Stage) -> None:
    sent = await twin.send(scheduled_at="in 1 hour")
    shown = await twin.do("GET", f"/emails/{sent}")
    assert (shown["last_event"], shown["scheduled_at"]) == ("scheduled", "2026-11-23 10:00:00.000000+00")
    twin.clock.move(minutes=59)
    await twin.chores()
    assert [mail["file"] for mail in await twin.mailbox()] == [None]
    twin.clock.move(minutes=1)
    await twin.chores()
    assert await twin.state(sent) == "delivered"
    assert (await twin.mail(sent))["Date"] == "Mon, 23 Nov 2026 10:00:00 +0000"


async def test_a_due_mail_leaves_without_being_asked(twin: Stage) -> None:
    sent = await twin.send(scheduled_at="in 1 hour")
    twin.clock.move(hours=2)
    async with asyncio.timeout(10):
        while await twin.state(sent) != "delivered":
            pass


async def test_a_mail_scheduled_before_a_restart_leaves_after_it_and_once(tmp_path: Path) -> None:
    clock = Clock()
    async with stage(tmp_path, clock) as twin:
        sent = await twin.send(scheduled_at="in 1 hour", attachments=[{"filename": "a.txt", "content": "aGk="}])
    clock.move(hours=2)
    async with stage(tmp_path, clock) as twin:
        await twin.chores()
        await twin.chores()
        events = [event["type"] for event in (await twin.mailbox())[0]["events"]]
        assert events == ["scheduled", "sent", "delivered"]
        assert [part.get_filename() for part in (await twin.mail(sent)).iter_attachments()] == ["a.txt"]


async def test_a_scheduled_mail_can_be_moved_and_canceled_until_it_has_left(twin: Stage) -> None:
    sent = await twin.send(scheduled_at="in 1 hour")
    assert await twin.do("PATCH", f"/emails/{sent}", {"scheduled_at": "in 3 hours"}) == {"object": "email", "id": sent}
    twin.clock.move(hours=2)
    await twin.chores()
    assert await twin.state(sent) == "scheduled"
    assert await twin.do("POST", f"/emails/{sent}/cancel") == {"object": "email", "id": sent}
    twin.clock.move(hours=2)
    await twin.chores()
    assert (await twin.state(sent), (await twin.mailbox())[0]["file"]) == ("canceled", None)

    left = await twin.send()
    for again in (sent, left):
        assert await twin.refused("POST", f"/emails/{again}/cancel") == (422, "validation_error")
        assert await twin.refused("PATCH", f"/emails/{again}", {"scheduled_at": "in 1 hour"}) == (
            422,
            "validation_error",
        )


async def test_a_moved_mail_needs_a_time(twin: Stage) -> None:
    sent = await twin.send(scheduled_at="in 1 hour")
    assert await twin.refused("PATCH", f"/emails/{sent}", {}) == (422, "missing_required_field")
    assert await twin.refused("PATCH", f"/emails/{sent}", {"scheduled_at": "whenever"}) == (422, "validation_error")
    assert await twin.refused("POST", "/emails", {**MAIL, "scheduled_at": "whenever"}) == (422, "validation_error")
