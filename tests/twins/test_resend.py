"""The Resend twin's door: who may call, what is refused and how, lists and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.resend_stage import ADMIN, MAIL, Clock, Stage, refusal, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


def everything_stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("records.sqlite*"))


# Who may call


async def test_who_may_call(twin: Stage) -> None:
    restricted = await twin.key()
    async with httpx.AsyncClient(base_url=twin.base_url) as nobody:
        assert refusal(await nobody.get("/segments")) == (401, "missing_api_key")
        assert (await nobody.get("/segments", headers={"User-Agent": ""})).status_code == 403
    wrong = {"Authorization": "Bearer re_no"}
    assert await twin.refused("GET", "/segments", headers=wrong) == (403, "invalid_api_key")
    for method, path in [("GET", "/segments"), ("POST", "/contacts"), ("GET", "/emails"), ("POST", "/api-keys")]:
        assert await twin.refused(method, path, {}, headers=restricted) == (401, "restricted_api_key")
    assert (await twin.api.post("/emails", json=MAIL, headers=restricted)).status_code == 200
    assert (await twin.api.get("/usage", headers=restricted)).status_code == 200


async def test_a_token_is_shown_once_and_dies_with_its_key(twin: Stage) -> None:
    key = await twin.do("POST", "/api-keys", {"name": "mk0r-abc", "permission": "sending_access"})
    listed = (await twin.do("GET", "/api-keys"))["data"]
    assert {"id", "name", "created_at", "last_used_at"} == set(listed[0])
    assert key["token"].encode() not in everything_stored(twin.site.data)
    assert await twin.do("DELETE", f"/api-keys/{key['id']}") == {"object": "api_key", "id": key["id"], "deleted": True}
    assert await twin.refused("DELETE", f"/api-keys/{key['id']}") == (404, "not_found")
    dead = {"Authorization": f"Bearer {key['token']}"}
    assert await twin.refused("POST", "/emails", MAIL, headers=dead) == (403, "invalid_api_key")


async def test_a_key_limited_to_a_domain_sends_from_no_other(twin: Stage) -> None:
    verified = (await twin.do("GET", "/domains"))["data"][0]
    other = await twin.do("POST", "/domains", {"name": "other.test"})
    assert (verified["status"], other["status"]) == ("verified", "not_started")
    for domain, status in ((verified, 200), (other, 403)):
        key = await twin.key(domain_id=domain["id"])
        assert (await twin.api.post("/emails", json=MAIL, headers=key)).status_code == status


async def test_a_restarted_twin_knows_its_keys_and_its_mail(tmp_path: Path) -> None:
    async with stage(tmp_path) as twin:
        key, sent = await twin.key(), await twin.send()
    async with stage(tmp_path) as twin:
        assert (await twin.api.post("/emails", json=MAIL, headers=key)).status_code == 200
        assert (await twin.mail(sent))["Subject"] == "Hello"


# What is refused


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"to": None, "from": None}, (422, "missing_required_field", "Missing `to` field.")),
        ({"from": None}, (422, "missing_required_field", "Missing `from` field.")),
        ({"subject": None}, (422, "missing_required_field", "Missing `subject` field.")),
        ({"html": None, "text": None}, (422, "validation_error", "Missing `html` or `text` field.")),
        ({"from": "nobody"}, (422, "invalid_from_address", "Invalid `from` field.")),
        ({"to": ["nobody"]}, (422, "validation_error", "Invalid `to` field. The email address")),
        ({"cc": "nobody"}, (422, "validation_error", "Invalid `cc` field. The email address")),
        ({"to": "ann@example.com"}, (422, "validation_error", "Invalid `to` field. Please use our testing")),
        ({"to": ["a@b.co"] * 51}, (422, "validation_error", "The `to` field must have at most 50")),
        ({"subject": "a\r\nBcc: eve@mail.test"}, (422, "validation_error", "A header holds characters")),
        ({"headers": {"X-A\r\nBcc": "eve@mail.test"}}, (422, "validation_error", "A header holds characters")),
        ({"headers": "X-A: 1"}, (422, "validation_error", "The `headers` field must be an `object`.")),
        ({"tags": [{"name": "a b", "value": "c"}]}, (422, "validation_error", "Tags should only contain ASCII")),
        ({"attachments": [{"filename": "a"}]}, (422, "invalid_attachment", "Attachment must have either")),
        ({"attachments": [{"content": "%%"}]}, (422, "invalid_attachment", "The attachment's `content`")),
        ({"topic_id": "news"}, (422, "invalid_parameter", "The `id` must be a valid UUID.")),
        ({"topic_id": NOBODY}, (404, "not_found", "Topic not found")),
        ({"from": "app@b.co"}, (403, "validation_error", "The b.co domain is not verified. Please, add")),
        ({"from": "app@sub.mk0r.localhost"}, (403, "validation_error", "The sub.mk0r.localhost domain is not")),
        ({"from": "me@resend.dev"}, (403, "validation_error", "You can only send testing emails to your own")),
    ],
)
async def test_a_bad_mail_is_refused_in_resends_words_and_not_kept(
    twin: Stage, change: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    answer = await twin.api.post("/emails", json={**MAIL, **change})
    status, name, message = expected
    assert refusal(answer) == (status, name)
    assert answer.json()["message"].startswith(message)
    assert await twin.mailbox() == []


async def test_resends_own_domain_sends_to_the_owner_and_to_the_simulators(twin: Stage) -> None:
    for to in ("owner@mk0r.localhost", "delivered+welcome@resend.dev"):
        assert await twin.state(await twin.send(**{"from": "Acme <onboarding@resend.dev>", "to": to})) == "delivered"


@pytest.mark.parametrize(
    "path",
    [
        *("/emails/{}", "/emails/{}/attachments", "/emails/receiving/{}", "/templates/{}", "/broadcasts/{}"),
        *("/contacts/{}", "/contacts/{}/topics", "/segments/{}", "/segments/{}/contacts", "/topics/{}", "/domains/{}"),
        *("/contact-properties/{}", "/suppressions/{}", "/webhooks/{}", "/logs/{}", "/contacts/imports/{}"),
    ],
)
async def test_what_is_not_there_is_not_found(twin: Stage, path: str) -> None:
    assert await twin.refused("GET", path.format(NOBODY)) == (404, "not_found")
    if "templates" not in path:
        assert await twin.refused("GET", path.format("not-a-uuid")) == (422, "invalid_parameter")


async def test_what_no_route_answers_is_answered_in_resends_words(twin: Stage) -> None:
    assert await twin.refused("GET", "/nothing") == (404, "not_found")
    assert await twin.refused("PUT", "/segments") == (405, "method_not_allowed")
    assert refusal(await twin.api.post("/segments", content=b"{")) == (400, "validation_error")
    assert await twin.refused("POST", "/segments", []) == (422, "validation_error")
    assert await twin.refused("POST", "/api-keys", {"name": "x", "permission": "root"}) == (422, "invalid_access")
    assert await twin.refused("POST", "/domains", {"name": "a.test", "region": "moon"}) == (422, "invalid_region")


async def test_a_body_that_is_too_large_is_not_read(twin: Stage) -> None:
    answer = await twin.api.post("/emails", content=b"x" * 41 * 1024 * 1024)
    assert refusal(answer) == (413, "validation_error")


async def test_a_lost_answer_leaves_a_key_whose_token_nobody_has(twin: Stage) -> None:
    fault = {"method": "POST", "path": "/api-keys", "lose_answer": True, "times": 1}
    await twin.twin("POST", "faults", json=fault)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await twin.api.post("/api-keys", json={"name": "mk0r-abc", "permission": "sending_access"})
    assert "mk0r-abc" in [each["name"] for each in (await twin.do("GET", "/api-keys"))["data"]]


# Lists


async def test_lists_are_paged_newest_first(twin: Stage) -> None:
    for number in range(5):
        await twin.do("POST", "/segments", {"name": str(number)})
    names: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await twin.do("GET", "/segments", params=query)
        names += [each["name"] for each in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["data"][-1]["id"]
    assert names == ["4", "3", "2", "1", "0"]
    for bad in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "nobody"}, {"after": "a", "before": "b"}):
        assert await twin.refused("GET", "/segments", params=bad) == (422, "validation_error")


async def test_a_list_older_than_pagination_comes_whole_and_a_newer_one_by_twenty(twin: Stage) -> None:
    for number in range(21):
        await twin.do("POST", "/segments", {"name": str(number)})
        await twin.send()
    segments, emails = await twin.do("GET", "/segments"), await twin.do("GET", "/emails")
    assert (len(segments["data"]), segments["has_more"]) == (21, False)
    assert (len(emails["data"]), emails["has_more"]) == (20, True)


async def test_the_log_tells_each_call_and_no_secret(twin: Stage) -> None:
    await twin.do("POST", "/api-keys", {"name": "app"})
    await twin.refused("POST", "/emails", {**MAIL, "to": None})
    refused, made = (await twin.do("GET", "/logs"))["data"]
    assert (refused["method"], refused["endpoint"], refused["response_status"]) == ("POST", "/emails", 422)
    told = await twin.do("GET", f"/logs/{made['id']}")
    assert (told["request_body"], told["response_body"]["token"]) == ({"name": "app"}, "[redacted]")


async def test_the_twins_own_doors_open_to_the_admin_only(twin: Stage) -> None:
    assert (await twin.api.get("/_twin/mailbox")).status_code == 401
    assert (await twin.api.get("/_twin/mailbox", headers=ADMIN)).status_code == 200
    assert isinstance(twin.site.clock, Clock)
