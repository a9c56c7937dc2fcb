"""A mail as a file, a mail as it is read back, one mail per idempotency key, and batches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.twins.core.serve import bind, serving
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


async def test_a_mail_is_a_real_file_with_everything_that_was_asked_for(twin: Stage) -> None:
    sent = await twin.send(
        cc="Bob <bob@mail.test>",
        bcc=["eve@mail.test"],
        reply_to="help@mk0r.localhost",
        headers={"X-Entity-Ref-ID": "7"},
        tags=[{"name": "kind", "value": "welcome"}],
        attachments=[{"filename": "a.txt", "content": list(b"attached")}],
    )
    message = await twin.mail(sent)
    assert (message["From"], message["To"], message["Cc"]) == (SENDER, ANN, "Bob <bob@mail.test>")
    assert (message["Reply-To"], message["X-Entity-Ref-ID"]) == ("help@mk0r.localhost", "7")
    assert message["Date"] == "Mon, 23 Nov 2026 09:00:00 +0000"
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert (html.get_content().strip(), text.get_content().strip()) == ("<b>Hi</b>", "Hi")
    assert [part.get_content() for part in message.iter_attachments()] == ["attached"]

    shown = await twin.do("GET", f"/emails/{sent}")
    assert shown | {"id": "", "message_id": ""} == {
        "object": "email",
        "id": "",
        "message_id": "",
        "from": SENDER,
        "to": [ANN],
        "cc": ["Bob <bob@mail.test>"],
        "bcc": ["eve@mail.test"],
        "reply_to": ["help@mk0r.localhost"],
        "subject": "Hello",
        "html": "<b>Hi</b>",
        "text": "Hi",
        "tags": [{"name": "kind", "value": "welcome"}],
        "topic_id": None,
        "scheduled_at": None,
        "last_event": "delivered",
        "created_at": "2026-11-23 09:00:00.000000+00",
    }
    assert shown["message_id"] == message["Message-ID"]
    (listed,) = (await twin.do("GET", "/emails"))["data"]
    assert set(shown) - set(listed) == {"object", "html", "text", "tags"}


async def test_html_alone_gets_a_text_for_those_who_read_text(twin: Stage) -> None:
    html = "<style>p{}</style><p>Hi <b>Ann</b></p><p>Go <a href='https://a.test/x'>there</a></p>"
    both, html_only = await twin.send(html=html, text=None), await twin.send(html=html, text="")
    text = (await twin.mail(both)).get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n").strip() == "Hi Ann\n\nGo there https://a.test/x"
    assert (await twin.mail(html_only)).get_content_type() == "text/html"


async def test_an_idempotency_key_sends_once(twin: Stage) -> None:
    headers = {"Idempotency-Key": "welcome-1"}
    first, second = [await twin.do("POST", "/emails", MAIL, headers=headers) for _ in range(2)]
    assert first == second
    assert len(await twin.mailbox()) == 1
    other = {**MAIL, "subject": "Other"}
    assert await twin.refused("POST", "/emails", other, headers=headers) == (409, "invalid_idempotent_request")
    too_long = {"Idempotency-Key": "x" * 257}
    assert await twin.refused("POST", "/emails", MAIL, headers=too_long) == (400, "invalid_idempotency_key")
    twin.clock.move(hours=24)
    assert await twin.do("POST", "/emails", other, headers=headers) != first


async def test_a_refused_mail_leaves_its_idempotency_key_free(twin: Stage) -> None:
    headers = {"Idempotency-Key": "welcome-1"}
    assert await twin.refused("POST", "/emails", {**MAIL, "to": None}, headers=headers) == (
        422,
        "missing_required_field",
    )
    assert await twin.do("POST", "/emails", MAIL, headers=headers)


async def test_the_same_idempotency_key_twice_at_once_is_a_conflict(twin: Stage) -> None:
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def slow_file(_scope: Any, _receive: Any, send: Any) -> None:
        asked.set()
        await let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"at last"})

    async def files(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await slow_file(scope, receive, send)

    async with asyncio.timeout(10), serving(files, bind(), drain=1) as port:
        await twin.twin("PUT", "origins", json={"origins": [f"http://127.0.0.1:{port}"]})
        mail = {**MAIL, "attachments": [{"path": f"http://127.0.0.1:{port}/a.txt"}]}
        headers = {"Idempotency-Key": "welcome-1"}
        first = asyncio.create_task(twin.do("POST", "/emails", mail, headers=headers))
        await asked.wait()
        assert await twin.refused("POST", "/emails", mail, headers=headers) == (409, "concurrent_idempotent_requests")
        assert await twin.refused("POST", "/emails", MAIL, headers=headers) == (409, "invalid_idempotent_request")
        let_go.set()
        assert await first == await twin.do("POST", "/emails", mail, headers=headers)


async def test_a_batch_is_all_or_nothing_unless_permissive(twin: Stage) -> None:
    assert len((await twin.do("POST", "/emails/batch", [MAIL, MAIL]))["data"]) == 2
    bad = {**MAIL, "to": "nobody"}
    assert await twin.refused("POST", "/emails/batch", [MAIL, bad]) == (422, "validation_error")
    permissive = {"x-batch-validation": "permissive"}
    mixed = await twin.do("POST", "/emails/batch", [MAIL, bad], headers=permissive)
    assert (len(mixed["data"]), [error["index"] for error in mixed["errors"]]) == (1, [1])
    assert len((await twin.do("GET", "/emails"))["data"]) == 3
    assert await twin.refused("POST", "/emails/batch", []) == (422, "validation_error")
    assert await twin.refused("POST", "/emails/batch", [MAIL] * 101) == (422, "validation_error")
