"""What a person sees of the Resend twin, and its state as a whole: emptied, put aside, brought back."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tests.resend_stage import ANN, MAIL, SENDER, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def shown(twin: Stage, at: str = "") -> dict[str, Any]:
    return await twin.twin("GET", f"view?at={at}")


def blocks(view: dict[str, Any], kind: str) -> dict[str, Any]:
    return {block["title"]: block for block in view["blocks"] if block["kind"] == kind}


async def test_the_front_page_is_the_mailbox_and_leads_to_each_mail_as_it_looks(twin: Stage) -> None:
    image = {"filename": "dot.png", "content": b64encode(b"png").decode()}
    note = {"filename": "note.txt", "content": b64encode(b"a note").decode()}
    await twin.send(headers={"X-Ref": "7"}, attachments=[image, note])
    (row,) = blocks(await shown(twin), "table")["Mail"]["rows"]
    assert (row[1]["text"], row[2], row[3], row[5]) == ("Hello", ANN, SENDER, "delivered")
    mail = await shown(twin, row[1]["to"])
    assert blocks(mail, "html")["HTML"]["html"] == "<b>Hi</b>"
    texts = {title: block["text"] for title, block in blocks(mail, "text").items()}
    assert texts == {"Text": "Hi", "note.txt": "a note"}
    assert blocks(mail, "image")["dot.png"]["mime"] == "image/png"
    assert ["To", ANN] in [list(row) for row in blocks(mail, "facts")["Headers"]["rows"]]
    assert [row[1] for row in blocks(mail, "table")["What became of it"]["rows"]] == ["sent", "delivered"]


async def test_a_mail_is_shown_with_its_own_pictures_in_it(twin: Stage) -> None:
    picture = b64encode(b"png").decode()
    inline = {"filename": "logo.png", "content": picture, "content_id": "logo"}
    sent = await twin.send(html='<img src="cid:logo"><img src="https://elsewhere.test/x">', attachments=[inline])
    html = blocks(await shown(twin, f"mail/{sent}"), "html")["HTML"]["html"]
    assert html == f'<img src="data:image/png;base64,{picture}"><img src="https://elsewhere.test/x">'


async def test_everything_the_team_has_can_be_looked_at_and_no_secret_is_shown(twin: Stage) -> None:
    segment = (await twin.do("POST", "/segments", {"name": "Users"}))["id"]
    await twin.do("POST", "/contacts", {"email": ANN, "segments": [segment], "properties": {"plan": "pro"}})
    await twin.do("POST", "/topics", {"name": "News", "default_subscription": "opt_in"})
    await twin.do("POST", "/templates", {"name": "Welcome", "html": "<p>Hi</p>"})
    body = {"segment_id": segment, "from": SENDER, "subject": "News", "html": "<p>Hi</p>", "send": True}
    await twin.do("POST", "/broadcasts", body)
    hook = await twin.do("POST", "/webhooks", {"endpoint": "http://localhost:1/x", "events": ["email.sent"]})
    key = await twin.do("POST", "/api-keys", {"name": "app"})
    await twin.do("POST", "/suppressions", {"email": "bob@mail.test"})
    (domain,) = (await twin.do("GET", "/domains"))["data"]
    await twin.do("PATCH", f"/domains/{domain['id']}", {"capabilities": {"receiving": "enabled"}})
    await twin.send(to="help@mk0r.localhost")
    await twin.chores()

    seen: list[str] = []
    lists = [row[1]["to"] for row in blocks(await shown(twin), "facts")["The team"]["rows"] if isinstance(row[1], dict)]
    assert len(lists) == 10
    for path in lists:
        rows = next(iter(blocks(await shown(twin, path), "table").values()))["rows"]
        assert rows, path
        seen += [str(await shown(twin, path)), *[str(await shown(twin, row[0]["to"])) for row in rows]]
    told = "".join(seen)
    assert "plan: pro" in told
    assert key["token"][-4:] in told
    for secret in (key["token"], hook["signing_secret"], twin.site.credential.reveal()):
        assert secret not in told


async def test_what_there_is_no_view_of_is_not_found(twin: Stage) -> None:
    for path in ("nothing", "mail/nothing", "contacts/nothing"):
        answer = await twin.api.get(f"/_twin/view?at={path}", headers={"Authorization": "Bearer admin-token"})
        assert answer.status_code == 404


async def test_an_emptied_twin_is_as_on_its_first_day_and_a_snapshot_brings_it_back(twin: Stage) -> None:
    key = await twin.key()
    left, waiting = await twin.send(), await twin.send(scheduled_at="in 1 hour")
    await twin.do("POST", "/contacts", {"email": ANN})
    await twin.twin("POST", "snapshots", json={"name": "before"})
    await twin.twin("POST", "reset")
    assert await twin.mailbox() == []
    assert (await twin.do("GET", "/contacts"))["data"] == []
    assert [domain["name"] for domain in (await twin.do("GET", "/domains"))["data"]] == ["mk0r.localhost"]
    assert await twin.refused("POST", "/emails", MAIL, headers=key) == (403, "invalid_api_key")
    await twin.send(subject="After the flood")

    await twin.twin("POST", "snapshots/before/restore")
    assert [mail["subject"] for mail in await twin.mailbox()] == ["Hello", "Hello"]
    assert (await twin.mail(left))["To"] == ANN
    assert (await twin.api.post("/emails", json=MAIL, headers=key)).status_code == 200
    twin.clock.move(hours=1)
    await twin.chores()
    assert await twin.state(waiting) == "delivered"
