"""The Resend twin, judged by the unmodified `resend` SDK and by its documented errors."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import resend
from resend.exceptions import ResendError

from server.secrets import Secret
from server.twins.core import Site
from server.twins.core.serve import bind, serving
from server.twins.resend import build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from email.message import EmailMessage

OPERATOR = "re_operator_key"
ADMIN = {"Authorization": "Bearer admin-token"}
SENDER = "My app <app@mk0r.localhost>"
MAIL = {"from": SENDER, "to": ["ann@example.com"], "subject": "Hello", "html": "<b>Hi</b>", "text": "Hi"}


def a_site(folder: Path) -> Site:
    return Site("resend", "http://localhost:0", folder, Secret(OPERATOR), Secret("admin-token"))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(build(a_site(tmp_path)), bind(), drain=1) as port,
        httpx.AsyncClient(
            base_url=f"http://localhost:{port}", headers={"Authorization": f"Bearer {OPERATOR}"}
        ) as client,
    ):
        yield client


@pytest.fixture
def sdk(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs an SDK call, which blocks, beside the event loop; `key` is what it authenticates with."""
    monkeypatch.setattr(resend, "api_url", str(client.base_url).rstrip("/"))

    async def run(call: Callable[..., Any], *arguments: Any, key: str = OPERATOR, **named: Any) -> Any:
        monkeypatch.setattr(resend, "api_key", key)
        return await asyncio.to_thread(call, *arguments, **named)

    return run


def read_mail(file: str) -> EmailMessage:
    return message_from_bytes(Path(file).read_bytes(), policy=default)


def everything_stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("records.sqlite*"))


async def a_key(client: httpx.AsyncClient, **fields: str) -> dict[str, str]:
    answer = await client.post("/api-keys", json={"name": "mk0r-abc", "permission": "sending_access", **fields})
    assert answer.status_code == 201
    return answer.json()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"statusCode", "name", "message"}
    assert body["statusCode"] == answer.status_code
    return answer.status_code, body["name"]


async def test_the_sdk_sends_with_a_restricted_key_and_the_mail_is_a_real_file(
    client: httpx.AsyncClient, sdk: Any
) -> None:
    key = await sdk(resend.ApiKeys.create, {"name": "mk0r-abc", "permission": "sending_access"})
    attachment = {"filename": "a.txt", "content": list(b"attached")}
    sent = await sdk(
        resend.Emails.send, {**MAIL, "cc": "bob@example.com", "attachments": [attachment]}, key=key["token"]
    )

    (mail,) = (await client.get("/_twin/mailbox?key=mk0r-abc", headers=ADMIN)).json()["mails"]
    assert mail["id"] == sent["id"]
    message = read_mail(mail["file"])
    assert (message["From"], message["To"], message["Cc"]) == (SENDER, "ann@example.com", "bob@example.com")
    html = message.get_body(("html",))
    assert html is not None
    assert html.get_content().strip() == "<b>Hi</b>"
    assert [part.get_content() for part in message.iter_attachments()] == ["attached"]
    shown = await sdk(resend.Emails.get, sent["id"])
    assert (shown["subject"], shown["to"], shown["last_event"]) == ("Hello", ["ann@example.com"], "delivered")


async def test_the_sdk_keeps_segments_and_contacts(sdk: Any) -> None:
    first = await sdk(resend.Segments.create, {"name": "mk0r-abc Users"})
    other = await sdk(resend.Segments.create, {"name": "mk0r-def Users"})
    assert [each["name"] for each in (await sdk(resend.Segments.list))["data"]] == ["mk0r-def Users", "mk0r-abc Users"]

    made = await sdk(resend.Contacts.create, {"email": "ann@example.com", "audience_id": first["id"]})
    again = await sdk(resend.Contacts.create, {"email": "Ann@example.com", "first_name": "Ann"})
    assert again["id"] == made["id"]  # a contact is the team's, not a segment's
    await sdk(resend.Contacts.Segments.add, {"segment_id": other["id"], "email": "ann@example.com"})
    (in_other,) = (await sdk(resend.Contacts.list, segment_id=other["id"]))["data"]
    assert (in_other["id"], in_other["first_name"]) == (made["id"], "Ann")
    await sdk(resend.Contacts.Segments.remove, {"segment_id": other["id"], "contact_id": made["id"]})
    assert (await sdk(resend.Contacts.list, segment_id=other["id"]))["data"] == []

    await sdk(resend.Contacts.remove, email="ann@example.com")
    assert (await sdk(resend.Contacts.list, audience_id=first["id"]))["data"] == []
    await sdk(resend.Segments.remove, first["id"])
    with pytest.raises(ResendError, match="not found"):
        await sdk(resend.Segments.get, first["id"])


async def test_an_audience_is_a_segment_by_its_old_name(client: httpx.AsyncClient) -> None:
    answer = await client.post("/audiences", json={"name": "Old"})
    assert (answer.status_code, answer.json()["object"]) == (201, "audience")
    audience = answer.json()["id"]
    assert (await client.get(f"/segments/{audience}")).json()["name"] == "Old"
    assert (await client.post(f"/audiences/{audience}/contacts", json={"email": "a@b.co"})).status_code == 201
    assert len((await client.get(f"/segments/{audience}/contacts")).json()["data"]) == 1
    assert (await client.delete(f"/audiences/{audience}")).json() == {
        "object": "audience",
        "id": audience,
        "deleted": True,
    }


async def test_who_may_call(client: httpx.AsyncClient) -> None:
    key = await a_key(client)
    restricted = {"Authorization": f"Bearer {key['token']}"}
    async with httpx.AsyncClient(base_url=client.base_url) as nobody:
        assert refusal(await nobody.get("/segments")) == (401, "missing_api_key")
        assert (await nobody.get("/segments", headers={"User-Agent": ""})).status_code == 403
    assert refusal(await client.get("/segments", headers={"Authorization": "Bearer re_no"})) == (403, "invalid_api_key")
    for method, path in [("GET", "/segments"), ("POST", "/contacts"), ("GET", "/emails"), ("POST", "/api-keys")]:
        answer = await client.request(method, path, headers=restricted, json={})
        assert refusal(answer) == (401, "restricted_api_key")
    assert (await client.post("/emails", json=MAIL, headers=restricted)).status_code == 200


async def test_a_token_is_shown_once_and_dies_with_its_key(client: httpx.AsyncClient, tmp_path: Path) -> None:
    key = await a_key(client)
    listed = (await client.get("/api-keys")).json()["data"]
    assert {"id", "name", "created_at", "last_used_at"} == set(listed[0])
    assert key["token"].encode() not in everything_stored(tmp_path)
    assert (await client.delete(f"/api-keys/{key['id']}")).status_code == 200
    assert refusal(await client.delete(f"/api-keys/{key['id']}")) == (404, "not_found")
    gone = await client.post("/emails", json=MAIL, headers={"Authorization": f"Bearer {key['token']}"})
    assert refusal(gone) == (403, "invalid_api_key")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"to": None}, (422, "missing_required_field")),
        ({"from": "nobody"}, (422, "invalid_from_address")),
        ({"to": ["nobody"]}, (422, "validation_error")),
        ({"to": ["a@b.co"] * 51}, (422, "validation_error")),
        ({"html": None, "text": None}, (422, "validation_error")),
        ({"subject": "a\r\nBcc: eve@example.com"}, (422, "validation_error")),
        ({"attachments": [{"filename": "a", "path": "http://x/a"}]}, (422, "invalid_attachment")),
        ({"from": "app@example.com"}, (403, "validation_error")),
    ],
)
async def test_a_bad_mail_is_refused_and_not_kept(
    client: httpx.AsyncClient, tmp_path: Path, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert refusal(await client.post("/emails", json={**MAIL, **change})) == expected
    assert list((tmp_path / "mailbox").iterdir()) == []


async def test_a_key_limited_to_a_domain_sends_from_no_other(client: httpx.AsyncClient) -> None:
    verified = (await client.get("/domains")).json()["data"][0]
    other = (await client.post("/domains", json={"name": "example.org"})).json()
    assert (verified["status"], other["status"]) == ("verified", "not_started")
    for domain, status in ((verified, 200), (other, 403)):
        key = await a_key(client, domain_id=domain["id"])
        answer = await client.post("/emails", json=MAIL, headers={"Authorization": f"Bearer {key['token']}"})
        assert answer.status_code == status


async def test_an_idempotency_key_sends_once(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "welcome-1"}
    first, second = [(await client.post("/emails", json=MAIL, headers=headers)).json() for _ in range(2)]
    assert first == second
    assert len((await client.get("/emails")).json()["data"]) == 1
    other = await client.post("/emails", json={**MAIL, "subject": "Other"}, headers=headers)
    assert refusal(other) == (409, "invalid_idempotent_request")
    too_long = await client.post("/emails", json=MAIL, headers={"Idempotency-Key": "x" * 257})
    assert refusal(too_long) == (400, "invalid_idempotency_key")


async def test_a_batch_is_all_or_nothing_unless_permissive(client: httpx.AsyncClient, sdk: Any) -> None:
    sent = await sdk(resend.Batch.send, [MAIL, MAIL])
    assert len(sent["data"]) == 2
    bad = {**MAIL, "to": "nobody"}
    assert refusal(await client.post("/emails/batch", json=[MAIL, bad])) == (422, "validation_error")
    mixed = await client.post("/emails/batch", json=[MAIL, bad], headers={"x-batch-validation": "permissive"})
    assert (len(mixed.json()["data"]), mixed.json()["errors"][0]["index"]) == (1, 1)
    assert len((await client.get("/emails")).json()["data"]) == 3


async def test_lists_are_paged_newest_first(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.post("/segments", json={"name": str(number)})
    names: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get("/segments", params=query)).json()
        names += [each["name"] for each in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["data"][-1]["id"]
    assert names == ["4", "3", "2", "1", "0"]
    for bad in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "nobody"}):
        assert refusal(await client.get("/segments", params=bad)) == (422, "validation_error")


async def test_what_is_not_there_answers_in_resends_words(client: httpx.AsyncClient) -> None:
    assert refusal(await client.get("/nothing")) == (404, "not_found")
    assert refusal(await client.put("/segments")) == (405, "method_not_allowed")
    assert refusal(await client.post("/segments", content=b"{")) == (400, "validation_error")
    assert refusal(await client.post("/segments", json=[])) == (422, "validation_error")
    assert refusal(await client.post("/api-keys", json={"name": "x", "permission": "root"})) == (422, "invalid_access")


async def test_a_body_that_is_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    assert (await client.post("/emails", content=b"x" * 41 * 1024 * 1024)).status_code == 413


async def test_a_lost_answer_leaves_a_key_whose_token_nobody_has(client: httpx.AsyncClient) -> None:
    fault = {"method": "POST", "path": "/api-keys", "lose_answer": True, "times": 1}
    await client.post("/_twin/faults", json=fault, headers=ADMIN)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.post("/api-keys", json={"name": "mk0r-abc", "permission": "sending_access"})
    assert "mk0r-abc" in [each["name"] for each in (await client.get("/api-keys")).json()["data"]]


async def test_a_restarted_twin_knows_its_keys(tmp_path: Path) -> None:
    async def through(path: str, key: str, body: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(build(a_site(tmp_path)))
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://resend") as client:
            return await client.post(path, json=body, headers=headers)

    key = (await through("/api-keys", OPERATOR, {"name": "mk0r-abc", "permission": "sending_access"})).json()
    assert (await through("/emails", key["token"], MAIL)).status_code == 200
