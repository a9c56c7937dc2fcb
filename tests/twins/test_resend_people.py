"""Segments, contacts and what is known of them, topics, imports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.resend_stage import ANN, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def test_an_audience_is_a_segment_by_its_old_name(twin: Stage) -> None:
    answer = await twin.api.post("/audiences", json={"name": "Old"})
    assert (answer.status_code, answer.json()["object"]) == (201, "audience")
    audience = answer.json()["id"]
    assert (await twin.do("GET", f"/segments/{audience}"))["name"] == "Old"
    await twin.do("POST", f"/audiences/{audience}/contacts", {"email": "a@b.co"})
    assert len((await twin.do("GET", f"/segments/{audience}/contacts"))["data"]) == 1
    await twin.do("PATCH", f"/segments/{audience}", {"name": "New"})
    assert (await twin.do("GET", f"/audiences/{audience}"))["name"] == "New"
    gone = {"object": "audience", "id": audience, "deleted": True}
    assert await twin.do("DELETE", f"/audiences/{audience}") == gone


async def test_a_contact_is_the_teams_one_per_address_in_any_segments(twin: Stage) -> None:
    first, other = [(await twin.do("POST", "/segments", {"name": name}))["id"] for name in ("one", "two")]
    made = await twin.do("POST", "/contacts", {"email": ANN, "segments": [{"id": first}]})
    again = await twin.do("POST", "/contacts", {"email": ANN.upper(), "first_name": "Ann", "segments": [other]})
    assert again["id"] == made["id"]
    joined = (await twin.do("GET", f"/contacts/{ANN}/segments"))["data"]
    assert [segment["id"] for segment in joined] == [other, first]
    await twin.do("DELETE", f"/contacts/{made['id']}/segments/{first}")
    assert (await twin.do("GET", f"/segments/{first}/contacts"))["data"] == []
    (contact,) = (await twin.do("GET", f"/contacts?segment_id={other}"))["data"]
    assert contact == {
        "id": made["id"],
        "email": ANN,
        "first_name": "Ann",
        "last_name": None,
        "unsubscribed": False,
        "created_at": "2026-11-23 09:00:00.000000+00",
    }


async def test_deleting_what_is_not_there_answers_as_if_it_had_been(twin: Stage) -> None:
    """Recorded so in the npm SDK's integration tests, for contacts and segments only."""
    assert await twin.do("DELETE", f"/contacts/{NOBODY}") == {"object": "contact", "contact": NOBODY, "deleted": True}
    assert (await twin.do("DELETE", f"/segments/{NOBODY}"))["deleted"] is True
    assert await twin.refused("DELETE", f"/topics/{NOBODY}") == (404, "not_found")


async def test_what_is_known_of_a_contact_has_a_type_and_can_be_forgotten(twin: Stage) -> None:
    made = await twin.do("POST", "/contact-properties", {"key": "plan", "type": "string", "fallback_value": "free"})
    await twin.do("POST", "/contacts", {"email": ANN, "properties": {"plan": "pro", "visits": 7}})
    assert (await twin.do("GET", f"/contacts/{ANN}"))["properties"] == {
        "plan": {"type": "string", "value": "pro"},
        "visits": {"type": "number", "value": 7},
    }
    wrong = {"properties": {"visits": "seven"}}
    assert await twin.refused("PATCH", f"/contacts/{ANN}", wrong) == (422, "validation_error")
    await twin.do("PATCH", f"/contacts/{ANN}", {"properties": {"visits": None}, "last_name": "Lee"})
    assert set((await twin.do("GET", f"/contacts/{ANN}"))["properties"]) == {"plan"}
    path = f"/contact-properties/{made['id']}"
    await twin.do("PATCH", path, {"fallback_value": "none"})
    shown = await twin.do("GET", path)
    assert (shown["object"], shown["key"], shown["fallback_value"]) == ("contact_property", "plan", "none")
    await twin.do("DELETE", path)
    assert (await twin.do("GET", f"/contacts/{ANN}"))["properties"] == {}


@pytest.mark.parametrize(
    "bad",
    [
        {"key": "a b", "type": "string"},
        {"key": "x" * 51, "type": "string"},
        {"key": "a", "type": "date"},
        {"key": "a", "type": "number", "fallback_value": "many"},
        {"key": "a", "type": "number", "fallback_value": True},
        {"key": "taken", "type": "string"},
    ],
)
async def test_a_property_that_cannot_be_is_refused(twin: Stage, bad: dict[str, Any]) -> None:
    await twin.do("POST", "/contact-properties", {"key": "taken", "type": "string"})
    assert await twin.refused("POST", "/contact-properties", bad) == (422, "validation_error")


async def test_topics_say_what_newcomers_are_and_contacts_what_they_want(twin: Stage) -> None:
    topic = (await twin.do("POST", "/topics", {"name": "News", "default_subscription": "opt_out"}))["id"]
    await twin.do("POST", "/contacts", {"email": ANN})
    (said,) = (await twin.do("GET", f"/contacts/{ANN}/topics"))["data"]
    assert said == {"id": topic, "name": "News", "description": "", "subscription": "opt_out"}
    wanted = [{"id": topic, "subscription": "opt_in"}]
    for body in (wanted, {"topics": wanted}):
        told = await twin.do("PATCH", f"/contacts/{ANN}/topics", body)
        assert (told["object"], told["topics"]) == ("contact_topics", wanted)
    await twin.do("PATCH", f"/topics/{topic}", {"description": "Weekly", "default_subscription": "opt_in"})
    shown = await twin.do("GET", f"/topics/{topic}")
    assert (shown["description"], shown["default_subscription"], shown["visibility"]) == (
        "Weekly",
        "opt_out",
        "private",
    )
    for bad, name in (
        ({"name": "x"}, "missing_required_field"),
        ({"name": "x" * 51, "default_subscription": "opt_in"}, "validation_error"),
        ({"name": "x", "default_subscription": "maybe"}, "validation_error"),
    ):
        assert await twin.refused("POST", "/topics", bad) == (422, name)
    nobodys = [{"id": NOBODY, "subscription": "opt_in"}]
    assert await twin.refused("PATCH", f"/contacts/{ANN}/topics", nobodys) == (404, "not_found")


async def test_contacts_are_imported_from_a_file_and_every_row_is_accounted_for(twin: Stage) -> None:
    segment = (await twin.do("POST", "/segments", {"name": "Users"}))["id"]
    await twin.do("POST", "/contacts", {"email": "known@mail.test", "first_name": "Old"})
    csv = "Email,First,Plan\nann@mail.test,Ann,pro\nknown@mail.test,New,free\nnobody,No,free\n"
    columns = {"email": "Email", "first_name": "First", "properties": {"plan": {"column": "Plan"}}}

    async def imported(**form: str) -> Any:
        data = {"column_map": json.dumps(columns), "segments": json.dumps([{"id": segment}]), **form}
        answer = await twin.api.post("/contacts/imports", data=data, files={"file": ("c.csv", csv, "text/csv")})
        assert answer.status_code == 201, answer.text
        await twin.chores()
        return await twin.do("GET", f"/contacts/imports/{answer.json()['id']}")

    first = await imported()
    assert (first["status"], first["counts"]) == (
        "completed",
        {"total": 3, "created": 1, "updated": 0, "skipped": 1, "failed": 1},
    )
    second = await imported(on_conflict="upsert")
    assert second["counts"] == {"total": 3, "created": 0, "updated": 2, "skipped": 0, "failed": 1}
    known = await twin.do("GET", "/contacts/known@mail.test")
    assert (known["first_name"], known["properties"]["plan"]["value"]) == ("New", "free")
    assert len((await twin.do("GET", f"/segments/{segment}/contacts"))["data"]) == 2
    assert len((await twin.do("GET", "/contacts/imports?status=completed"))["data"]) == 2


async def test_an_import_that_cannot_be_read_is_refused(twin: Stage) -> None:
    for csv, form in (
        (b"name\nAnn\n", {}),
        (b"\xff\xfe\xff", {}),
        (b"email\na@b.co\n", {"column_map": "{"}),
        (b"email\na@b.co\n", {"segments": "{}"}),
        (b"email\na@b.co\n", {"on_conflict": "fight"}),
    ):
        answer = await twin.api.post("/contacts/imports", data=form, files={"file": ("c.csv", csv, "text/csv")})
        assert (answer.status_code, answer.json()["name"]) == (422, "validation_error")
    assert await twin.refused("POST", "/contacts/imports", {}) == (422, "missing_required_field")
    assert await twin.refused("POST", "/contacts", {"email": "nobody"}) == (422, "validation_error")
    assert await twin.refused("POST", "/contacts", {}) == (422, "missing_required_field")
