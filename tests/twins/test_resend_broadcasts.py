"""Broadcasts: really delivered, to those who want them, once, each with their own name and way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.twins.resend.outbox import Outbox
from tests.resend_stage import SENDER, Clock, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HTML = '<p>Hi {{{FIRST_NAME|there}}} of {{{contact.plan|no plan}}}</p><a href="{{{RESEND_UNSUBSCRIBE_URL}}}">Stop</a>'


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def a_segment(twin: Stage, *contacts: dict[str, Any]) -> str:
    segment = (await twin.do("POST", "/segments", {"name": "Users"}))["id"]
    for contact in contacts:
        await twin.do("POST", "/contacts", {**contact, "segments": [segment]})
    return segment


async def a_broadcast(twin: Stage, segment: str, **fields: Any) -> str:
    body = {"segment_id": segment, "from": SENDER, "subject": "News for {{{FIRST_NAME|you}}}", "html": HTML, **fields}
    return (await twin.do("POST", "/broadcasts", body))["id"]


async def recipients(twin: Stage) -> list[str]:
    return sorted(to for mail in await twin.mailbox() for to in mail["to"])


async def test_a_broadcast_reaches_the_segments_subscribers_each_by_name(twin: Stage) -> None:
    segment = await a_segment(
        twin,
        {"email": "ann@mail.test", "first_name": "Ann", "properties": {"plan": "pro"}},
        {"email": "bob@mail.test"},
        {"email": "cy@mail.test", "unsubscribed": True},
    )
    await a_segment(twin, {"email": "dee@mail.test"})
    broadcast = await a_broadcast(twin, segment, preview_text="In short", reply_to="help@mk0r.localhost")
    assert (await twin.do("GET", f"/broadcasts/{broadcast}"))["status"] == "draft"
    assert await twin.do("POST", f"/broadcasts/{broadcast}/send", {}) == {"id": broadcast}
    await twin.chores()

    shown = await twin.do("GET", f"/broadcasts/{broadcast}")
    assert (shown["status"], shown["sent_at"]) == ("sent", "2026-11-23 09:00:00.000000+00")
    assert await recipients(twin) == ["ann@mail.test", "bob@mail.test"]
    ann = next(mail for mail in await twin.mailbox() if mail["to"] == ["ann@mail.test"])
    message = await twin.mail(ann["id"])
    html = message.get_body(("html",))
    assert html is not None
    assert (message["Subject"], message["Reply-To"]) == ("News for Ann", "help@mk0r.localhost")
    assert "Hi Ann of pro" in html.get_content()
    assert "In short" in html.get_content()
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    bob = next(mail for mail in await twin.mailbox() if mail["to"] == ["bob@mail.test"])
    assert (bob["subject"], "Hi there of no plan" in bob["html"]) == ("News for you", True)
    assert (await twin.do("GET", "/emails"))["data"] == []
    assert (await twin.do("GET", f"/emails/{bob['id']}"))["last_event"] == "delivered"


async def test_the_link_in_a_broadcast_unsubscribes_when_it_is_clicked_and_not_when_it_is_opened(twin: Stage) -> None:
    segment = await a_segment(twin, {"email": "ann@mail.test"})
    broadcast = await a_broadcast(twin, segment, send=True)
    await twin.chores()
    (mail,) = await twin.mailbox()
    (link,) = re.findall(r'href="([^"]+)"', mail["html"])
    async with httpx.AsyncClient() as reader:
        assert "Unsubscribe" in (await reader.get(link)).text
        assert (await twin.do("GET", "/contacts/ann@mail.test"))["unsubscribed"] is False
        assert (await reader.post(link, data={"List-Unsubscribe": "One-Click"})).status_code == 200
        assert (await twin.do("GET", "/contacts/ann@mail.test"))["unsubscribed"] is True
        assert (await reader.post(link + "x")).status_code == 403
    left = await twin.do("GET", f"/broadcasts/{broadcast}/recipients?type=unsubscribed")
    assert [row["email"] for row in left["data"]] == ["ann@mail.test"]
    await a_broadcast(twin, segment, send=True)
    await twin.chores()
    assert len(await twin.mailbox()) == 1


async def test_a_broadcast_of_a_topic_leaves_only_the_topic_and_asks_who_wants_it(twin: Stage) -> None:
    topic = (await twin.do("POST", "/topics", {"name": "News", "default_subscription": "opt_in"}))["id"]
    out = [{"id": topic, "subscription": "opt_out"}]
    segment = await a_segment(twin, {"email": "ann@mail.test"}, {"email": "bob@mail.test", "topics": out})
    await a_broadcast(twin, segment, topic_id=topic, send=True)
    await twin.chores()
    (mail,) = await twin.mailbox()
    assert mail["to"] == ["ann@mail.test"]
    (link,) = re.findall(r'href="([^"]+)"', mail["html"])
    async with httpx.AsyncClient() as reader:
        await reader.post(link)
    assert (await twin.do("GET", "/contacts/ann@mail.test"))["unsubscribed"] is False
    (said,) = (await twin.do("GET", "/contacts/ann@mail.test/topics"))["data"]
    assert said["subscription"] == "opt_out"


async def test_a_scheduled_broadcast_waits_and_can_be_called_back(twin: Stage) -> None:
    segment = await a_segment(twin, {"email": "ann@mail.test"})
    broadcast = await a_broadcast(twin, segment)
    await twin.do("POST", f"/broadcasts/{broadcast}/send", {"scheduled_at": "in 1 hour"})
    shown = await twin.do("GET", f"/broadcasts/{broadcast}")
    assert (shown["status"], shown["scheduled_at"]) == ("queued", "2026-11-23 10:00:00.000000+00")
    assert await twin.refused("PATCH", f"/broadcasts/{broadcast}", {"subject": "No"}) == (422, "validation_error")
    await twin.chores()
    assert await twin.mailbox() == []
    assert await twin.do("POST", f"/broadcasts/{broadcast}/cancel") == {"object": "broadcast", "id": broadcast}
    twin.clock.move(hours=2)
    await twin.chores()
    assert await twin.mailbox() == []
    await twin.do("PATCH", f"/broadcasts/{broadcast}", {"subject": "After all"})
    await twin.do("POST", f"/broadcasts/{broadcast}/send", {})
    await twin.chores()
    assert [mail["subject"] for mail in await twin.mailbox()] == ["After all"]


async def test_a_broadcast_cut_short_goes_on_with_those_who_have_not_got_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the twin dies between two of its mails."""
    clock, put = Clock(), Outbox.put

    def dies_at_bob(self: Outbox, email: Any, composed: bytes) -> None:
        if email["to"] == ["bob@mail.test"]:
            raise ConnectionResetError("the twin died")
        put(self, email, composed)

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "put", dies_at_bob)
        async with stage(tmp_path, clock) as twin:
            segment = await a_segment(twin, *({"email": f"{name}@mail.test"} for name in ("ann", "bob", "cy")))
            broadcast = await a_broadcast(twin, segment, send=True)
            await twin.chores()
            assert await recipients(twin) == ["ann@mail.test"]
            assert (await twin.do("GET", f"/broadcasts/{broadcast}"))["status"] == "queued"
    async with stage(tmp_path, clock) as twin:
        await twin.chores()
        assert await recipients(twin) == ["ann@mail.test", "bob@mail.test", "cy@mail.test"]
        assert (await twin.do("GET", f"/broadcasts/{broadcast}"))["status"] == "sent"


async def test_what_became_of_a_broadcast_is_told_by_recipient_and_by_link(twin: Stage) -> None:
    segment = await a_segment(twin, {"email": "ann@mail.test"}, {"email": "bounced@resend.dev"})
    broadcast = await a_broadcast(twin, segment, send=True)
    await twin.chores()
    ann = next(mail["id"] for mail in await twin.mailbox() if mail["to"] == ["ann@mail.test"])
    for link in ("https://a.test/", "https://a.test/", "https://b.test/"):
        await twin.twin("POST", f"emails/{ann}/events", json={"type": "clicked", "link": link})

    async def rows(query: str) -> list[Any]:
        return (await twin.do("GET", f"/broadcasts/{broadcast}/recipients?{query}"))["data"]

    assert {row["email"] for row in await rows("type=sent")} == {"ann@mail.test", "bounced@resend.dev"}
    (bounced,) = await rows("type=bounced&bounce_type=permanent")
    assert (bounced["email"], bounced["bounce_type"]) == ("bounced@resend.dev", "permanent")
    (clicked,) = await rows("type=clicked&email=ann@mail.test")
    assert (clicked["count"], clicked["clicked_links"][0]) == (3, {"url": "https://a.test/", "clicks": 2})
    links = (await twin.do("GET", f"/broadcasts/{broadcast}/clicked-links"))["data"]
    assert [(link["url"], link["clicks"], link["unique_clicks"]) for link in links] == [
        ("https://a.test/", 2, 1),
        ("https://b.test/", 1, 1),
    ]
    path = f"/broadcasts/{broadcast}/recipients"
    assert await twin.refused("GET", path) == (422, "validation_error")
    assert await twin.refused("GET", f"{path}?type=sent&bounce_type=permanent") == (422, "validation_error")


async def test_a_broadcast_is_copied_and_deleted_but_not_when_it_was_sent(twin: Stage) -> None:
    segment = await a_segment(twin, {"email": "ann@mail.test"})
    broadcast = await a_broadcast(twin, segment, name="News", send=True)
    await twin.chores()
    copy = (await twin.do("POST", f"/broadcasts/{broadcast}/duplicate"))["id"]
    assert [each["status"] for each in (await twin.do("GET", "/broadcasts"))["data"]] == ["draft", "sent"]
    for done in ("DELETE", "PATCH"):
        assert await twin.refused(done, f"/broadcasts/{broadcast}", {}) == (422, "validation_error")
    for again in ("send", "cancel"):
        assert await twin.refused("POST", f"/broadcasts/{broadcast}/{again}", {}) == (422, "validation_error")
    assert (await twin.do("DELETE", f"/broadcasts/{copy}"))["deleted"] is True


async def test_a_broadcast_needs_a_segment_a_sender_and_words(twin: Stage) -> None:
    segment = await a_segment(twin)
    good = {"segment_id": segment, "from": SENDER, "subject": "News", "text": "Hi"}
    for change, expected in (
        ({"segment_id": None}, (422, "missing_required_field")),
        ({"subject": None}, (422, "missing_required_field")),
        ({"from": "nobody"}, (422, "invalid_from_address")),
        ({"segment_id": "00000000-0000-4000-8000-00000000dead"}, (404, "not_found")),
        ({"scheduled_at": "in 1 hour"}, (422, "validation_error")),
        ({"send": True, "text": None}, (422, "validation_error")),
        ({"send": True, "from": "a@b.co"}, (403, "validation_error")),
    ):
        assert await twin.refused("POST", "/broadcasts", {**good, **change}) == expected
    old_name = {**good, "segment_id": None, "audience_id": segment}
    made = await twin.do("POST", "/broadcasts", old_name)
    assert (await twin.do("GET", f"/broadcasts/{made['id']}"))["segment_id"] == segment
