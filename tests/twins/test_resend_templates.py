"""Templates: drafted, published, sent with their variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.resend_stage import Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def a_template(twin: Stage, **fields: Any) -> str:
    body: dict[str, Any] = {
        "name": "Welcome",
        "alias": "welcome",
        "from": "Shop <shop@mk0r.localhost>",
        "subject": "Hello {{{NAME}}}",
        "html": "<p>{{{NAME}}} has {{{POINTS}}}</p>",
        "variables": [
            {"key": "NAME", "type": "string"},
            {"key": "POINTS", "type": "number", "fallback_value": 0},
        ],
        **fields,
    }
    return (await twin.do("POST", "/templates", body))["id"]


async def test_a_published_template_is_sent_with_its_variables(twin: Stage) -> None:
    template = await a_template(twin)
    wanted: dict[str, Any] = {"to": "ann@mail.test", "template": {"id": "welcome", "variables": {"NAME": "Ann"}}}
    assert await twin.refused("POST", "/emails", wanted) == (422, "validation_error")
    assert await twin.do("POST", "/templates/welcome/publish") == {"object": "template", "id": template}
    sent = (await twin.do("POST", "/emails", wanted))["id"]
    mail = await twin.do("GET", f"/emails/{sent}")
    assert (mail["from"], mail["subject"], mail["html"]) == (
        "Shop <shop@mk0r.localhost>",
        "Hello Ann",
        "<p>Ann has 0</p>",
    )
    own = {**wanted, "subject": "Mine", "from": "Me <me@mk0r.localhost>"}
    mail = await twin.do("GET", f"/emails/{(await twin.do('POST', '/emails', own))['id']}")
    assert (mail["from"], mail["subject"]) == ("Me <me@mk0r.localhost>", "Mine")
    for bad, status in (
        ({**wanted, "html": "<p>no</p>"}, 422),
        ({**wanted, "template": {"id": "welcome"}}, 422),
        ({**wanted, "template": {"id": "welcome", "variables": {"NAME": "Ann", "POINTS": "many"}}}, 422),
        ({**wanted, "template": {"id": "nothing"}}, 404),
    ):
        assert (await twin.refused("POST", "/emails", bad))[0] == status


async def test_what_is_edited_is_not_sent_until_it_is_published(twin: Stage) -> None:
    template = await a_template(twin, variables=[], html="<p>old</p>", subject="Hello")
    await twin.do("POST", f"/templates/{template}/publish")
    await twin.do("PATCH", f"/templates/{template}", {"html": "<p>new</p>"})
    shown = await twin.do("GET", "/templates/welcome")
    assert (shown["status"], shown["has_unpublished_versions"], shown["html"]) == ("published", True, "<p>new</p>")
    wanted = {"to": "ann@mail.test", "template": {"id": template}}
    for html in ("<p>old</p>", "<p>new</p>"):
        sent = (await twin.do("POST", "/emails", wanted))["id"]
        assert (await twin.do("GET", f"/emails/{sent}"))["html"] == html
        await twin.do("POST", f"/templates/{template}/publish")


async def test_a_template_is_copied_listed_and_taken_away(twin: Stage) -> None:
    template = await a_template(twin)
    copy = (await twin.do("POST", f"/templates/{template}/duplicate"))["id"]
    listed = (await twin.do("GET", "/templates"))["data"]
    assert [(each["id"], each["alias"], each["status"]) for each in listed] == [
        (copy, None, "draft"),
        (template, "welcome", "draft"),
    ]
    assert set(listed[0]) == {"id", "name", "status", "published_at", "created_at", "updated_at", "alias"}
    assert (await twin.do("DELETE", "/templates/welcome"))["id"] == template
    assert await twin.refused("GET", f"/templates/{template}") == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"alias": "welcome"},
        {"variables": [{"key": "FIRST_NAME", "type": "string"}]},
        {"variables": [{"key": "a-b", "type": "string"}]},
        {"variables": [{"key": "A", "type": "date"}]},
        {"variables": [{"key": f"A{n}", "type": "string"} for n in range(51)]},
        {"reply_to": "nobody"},
    ],
)
async def test_a_template_that_cannot_be_is_refused(twin: Stage, change: dict[str, Any]) -> None:
    await a_template(twin)
    body = {"name": "Other", "html": "<p></p>", **change}
    assert await twin.refused("POST", "/templates", body) == (422, "validation_error")
