"""Files in mail: inline, by URL from where the operator allows it, listed, downloaded, shared."""

from __future__ import annotations

from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from server.twins.core.serve import bind, serving
from tests.resend_stage import MAIL, Stage, refusal, stage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request

PNG = b"\x89PNG\r\n\x1a\n not really"


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


@asynccontextmanager
async def file_server() -> AsyncGenerator[tuple[str, list[str]]]:
    """A file, a way to it, a failure; gives the origin and what it was asked for."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(request.url.path)
        match request.path_params["name"]:
            case "there":
                return PlainTextResponse("fetched")
            case "moved":
                return RedirectResponse("/there")
            case _:
                return PlainTextResponse("no", 404)

    async with serving(Starlette(routes=[Route("/{name}", answer)]), bind(), drain=1) as port:
        yield f"http://127.0.0.1:{port}", asked


async def test_an_inline_image_is_where_the_html_points_at_it(twin: Stage) -> None:
    logo = {"filename": "logo.png", "content": b64encode(PNG).decode(), "content_id": "logo"}
    report = {"filename": "report.txt", "content": b64encode(b"numbers").decode()}
    sent = await twin.send(html='<img src="cid:logo">', text=None, attachments=[logo, report])
    message = await twin.mail(sent)
    assert message.get_content_type() == "multipart/mixed"
    images = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert [(part["Content-ID"], part.get_content_disposition()) for part in images] == [("<logo>", "inline")]
    assert images[0].get_payload(decode=True) == PNG
    assert [part.get_filename() for part in message.iter_attachments()][-1] == "report.txt"


async def test_what_a_mail_carries_is_listed_and_downloaded_by_a_link_that_expires(twin: Stage) -> None:
    files = [
        {"filename": "logo.png", "content": b64encode(PNG).decode(), "content_id": "logo"},
        {"filename": "report.pdf", "content": {"type": "Buffer", "data": list(b"numbers")}},
    ]
    for scheduled in ({}, {"scheduled_at": "in 1 hour"}):
        sent = await twin.send(attachments=files, **scheduled)
        listed = (await twin.do("GET", f"/emails/{sent}/attachments"))["data"]
        assert [(each["filename"], each["content_disposition"], each["size"]) for each in listed] == [
            ("logo.png", "inline", len(PNG)),
            ("report.pdf", "attachment", 7),
        ]
        assert (listed[0]["content_id"], listed[1]["content_type"]) == ("logo", "application/pdf")
        one = await twin.do("GET", f"/emails/{sent}/attachments/{listed[1]['id']}")
        assert (one["object"], one["filename"]) == ("attachment", "report.pdf")
        async with httpx.AsyncClient() as anybody:
            contents = [(await anybody.get(each["download_url"])).content for each in listed]
            assert contents == [PNG, b"numbers"]
            assert refusal(await anybody.get(one["download_url"] + "0")) == (403, "validation_error")
            twin.clock.move(hours=2)
            assert refusal(await anybody.get(one["download_url"])) == (403, "validation_error")


async def test_a_page_or_a_mail_among_the_files_arrives_as_it_was(twin: Stage) -> None:
    page, mail = b64encode("<p>ä</p>".encode()).decode(), b64encode(b"Subject: old\n\nbody").decode()
    files = [
        {"filename": "page.html", "content": page},
        {"filename": "old.eml", "content": mail, "content_type": "message/rfc822"},
    ]
    sent = await twin.send(attachments=files)
    listed = (await twin.do("GET", f"/emails/{sent}/attachments"))["data"]
    async with httpx.AsyncClient() as anybody:
        first, second = [await anybody.get(each["download_url"]) for each in listed]
    assert (first.text, second.content) == ("<p>ä</p>", b"Subject: old\n\nbody")
    assert first.headers["content-type"] == "application/octet-stream"


async def test_nothing_is_fetched_unless_the_operator_listed_its_origin(twin: Stage) -> None:
    async with file_server() as (origin, asked):
        mail: dict[str, Any] = {**MAIL, "attachments": [{"path": f"{origin}/there"}]}
        assert await twin.refused("POST", "/emails", mail) == (422, "invalid_attachment")
        other_port = f"http://127.0.0.1:{twin.site.base_url.rpartition(':')[2]}"
        await twin.twin("PUT", "origins", json={"origins": [other_port, "https://files.test"]})
        assert await twin.refused("POST", "/emails", mail) == (422, "invalid_attachment")
        assert asked == []
        await twin.twin("PUT", "origins", json={"origins": [origin]})
        sent = await twin.send(**mail)
        (file,) = list((await twin.mail(sent)).iter_attachments())
        assert (file.get_filename(), file.get_payload(decode=True)) == ("there", b"fetched")


@pytest.mark.parametrize(
    "path",
    [
        *("http://user@{}/there", "http://{}@evil.test/there", "http://{}.evil.test/there", "ftp://{}/there"),
        *("file:///etc/passwd", "data:text/plain,hi", "http://[::1", "there", "//{}/there"),
    ],
)
async def test_an_address_that_only_looks_like_a_listed_one_is_not_asked(twin: Stage, path: str) -> None:
    async with file_server() as (origin, asked):
        await twin.twin("PUT", "origins", json={"origins": [origin]})
        mail = {**MAIL, "attachments": [{"filename": "a", "path": path.format(origin.removeprefix("http://"))}]}
        assert await twin.refused("POST", "/emails", mail) == (422, "invalid_attachment")
        assert asked == []


async def test_a_redirect_is_not_followed_and_a_failure_says_nothing_of_the_other_side(twin: Stage) -> None:
    async with file_server() as (origin, asked):
        await twin.twin("PUT", "origins", json={"origins": [origin]})
        answers = [
            await twin.api.post("/emails", json={**MAIL, "attachments": [{"path": f"{origin}/{name}"}]})
            for name in ("moved", "gone")
        ]
        assert [refusal(answer) for answer in answers] == [(422, "invalid_attachment")] * 2
        assert answers[0].json() == answers[1].json()
        assert asked == ["/moved", "/gone"]


async def test_only_origins_can_be_listed(twin: Stage) -> None:
    for bad in ("files.test", "ftp://files.test", "http://", 7):
        answer = await twin.api.put(
            "/_twin/origins", json={"origins": [bad]}, headers={"Authorization": "Bearer admin-token"}
        )
        assert answer.status_code == 422
    assert await twin.twin("GET", "origins") == {"origins": []}


async def test_a_mail_is_shared_by_a_link_that_runs_nothing_and_expires(twin: Stage) -> None:
    sent = await twin.send(html="<script>alert(1)</script><b>Hi</b>")
    shared = await twin.do("POST", f"/emails/{sent}/share", {"expires_in": "2 hours"})
    assert (shared["object"], shared["id"]) == ("email", sent)
    async with httpx.AsyncClient() as anybody:
        page = await anybody.get(shared["url"])
        assert "<b>Hi</b>" in page.text
        assert "sandbox" in page.headers["content-security-policy"]
        twin.clock.move(hours=3)
        assert (await anybody.get(shared["url"])).status_code == 403
    for bad in ("3 days", "forever", "0m"):
        assert await twin.refused("POST", f"/emails/{sent}/share", {"expires_in": bad}) == (422, "validation_error")
