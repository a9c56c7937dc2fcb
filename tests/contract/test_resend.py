"""Resend's mail through its unmodified SDKs: `resend` for Python here, and for Node in `resend/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import resend as vendor
from resend.exceptions import (
    MissingRequiredFieldsError,
    ResendError,
    ValidationError,
)

from tests.contract.resend_sdk import INBOX, MAIL, SENDER, Sdk, opened, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.contract.conftest import Service

HERE = Path(__file__).parent / "resend"


@pytest.fixture
async def sdk(resend: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sdk]:
    async with opened(resend, monkeypatch) as sdk:
        yield sdk


async def test_a_mail_is_sent_and_read_back(sdk: Sdk) -> None:
    tags = [{"name": "kind", "value": "welcome"}]
    attached = {"filename": "a.txt", "content": list(b"attached")}
    sent = await sdk(
        vendor.Emails.send,
        {**MAIL, "reply_to": "a@resend.dev", "headers": {"X-Ref": "7"}, "tags": tags, "attachments": [attached]},
    )
    mail = await sdk(vendor.Emails.get, sent["id"])
    assert (mail["object"], mail["subject"], mail["to"], mail["html"]) == ("email", "Hello", [INBOX], "<b>Hi</b>")
    assert mail["last_event"] in ("queued", "sent", "delivered")
    listed = await sdk(vendor.Emails.list, {"limit": 1})
    assert (listed["object"], listed["data"][0]["id"]) == ("list", sent["id"])
    (file,) = (await sdk(vendor.Emails.Attachments.list, sent["id"]))["data"]
    told = await sdk(vendor.Emails.Attachments.get, sent["id"], file["id"])
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(told["download_url"])).content == b"attached"


async def test_a_scheduled_mail_is_moved_and_canceled(sdk: Sdk) -> None:
    sent = await sdk(vendor.Emails.send, {**MAIL, "scheduled_at": "in 1 hour"})
    moved = await sdk(vendor.Emails.update, {"id": sent["id"], "scheduled_at": "tomorrow at 9am"})
    assert moved["id"] == sent["id"]
    assert (await sdk(vendor.Emails.get, sent["id"]))["last_event"] == "scheduled"
    assert (await sdk(vendor.Emails.cancel, sent["id"]))["object"] == "email"
    assert (await sdk(vendor.Emails.get, sent["id"]))["last_event"] == "canceled"


async def test_an_idempotency_key_sends_once_and_a_batch_all_or_the_good_ones(sdk: Sdk) -> None:
    options: Any = {"idempotency_key": unique()}
    first, second = [await sdk(vendor.Emails.send, MAIL, options) for _ in range(2)]
    assert first["id"] == second["id"]
    with pytest.raises(ResendError) as refused:
        await sdk(vendor.Emails.send, {**MAIL, "subject": "Other"}, options)
    assert (refused.value.code, refused.value.error_type) == (409, "invalid_idempotent_request")
    assert len((await sdk(vendor.Batch.send, [MAIL, MAIL]))["data"]) == 2
    bad = {**MAIL, "to": "nobody"}
    with pytest.raises(ValidationError):
        await sdk(vendor.Batch.send, [MAIL, bad])
    mixed = await sdk(vendor.Batch.send, [MAIL, bad], {"batch_validation": "permissive"})
    assert (len(mixed["data"]), mixed["errors"][0]["index"]) == (1, 1)


async def test_a_mail_can_be_sent_without_blocking(sdk: Sdk) -> None:
    await sdk(vendor.Emails.list)  # the key is in place from here on
    sent = await vendor.Emails.send_async(MAIL)
    assert (await vendor.Emails.get_async(sent["id"]))["subject"] == "Hello"


@pytest.mark.parametrize(
    ("change", "error", "name"),
    [
        ({"to": None}, MissingRequiredFieldsError, "missing_required_field"),
        ({"to": "ann@example.com"}, ValidationError, "validation_error"),
        ({"from": "nobody"}, ResendError, "invalid_from_address"),
        ({"from": "a@not-ours.example"}, ResendError, "validation_error"),
    ],
)
async def test_the_sdk_raises_what_it_raises_at_resend(
    sdk: Sdk, change: Any, error: type[Exception], name: str
) -> None:
    with pytest.raises(error) as refused:
        await sdk(vendor.Emails.send, {**MAIL, **change})
    assert isinstance(refused.value, ResendError)
    assert refused.value.error_type == name
    assert refused.value.headers["ratelimit-limit"]


async def test_a_template_is_published_and_sent(sdk: Sdk) -> None:
    alias = unique()
    variables = [{"key": "NAME", "type": "string", "fallback_value": "friend"}]
    fields = {"subject": "Hi {{{NAME}}}", "html": "<p>{{{NAME}}}</p>", "from": SENDER, "text": "{{{NAME}}}"}
    made = await sdk(
        vendor.Templates.create, {"name": alias, "alias": alias, "reply_to": [INBOX], **fields, "variables": variables}
    )
    sdk.made(vendor.Templates.remove, made["id"])
    await sdk(vendor.Templates.update, {"id": made["id"], "subject": "Hello {{{NAME}}}"})
    assert (await sdk(vendor.Templates.get, alias))["status"] == "draft"
    await sdk(vendor.Templates.publish, alias)
    assert (await sdk(vendor.Templates.get, made["id"]))["status"] == "published"
    copy = await sdk(vendor.Templates.duplicate, made["id"])
    sdk.made(vendor.Templates.remove, copy["id"])
    sent = await sdk(vendor.Emails.send, {"to": INBOX, "template": {"id": alias, "variables": {"NAME": "Ann"}}})
    assert (await sdk(vendor.Emails.get, sent["id"]))["subject"] == "Hello Ann"
    assert made["id"] in [each["id"] for each in (await sdk(vendor.Templates.list, {"limit": 10}))["data"]]
    await sdk(vendor.Templates.remove, made["id"])


async def test_mail_that_came_in_is_listed_and_read(sdk: Sdk, resend: Service) -> None:
    if resend.stack is None:
        pytest.skip("somebody would have to write to the live account")
    domain = next(each for each in (await sdk(vendor.Domains.list))["data"] if each["name"] == "mk0r.localhost")
    await sdk(vendor.Domains.update, {"id": domain["id"], "capabilities": {"receiving": "enabled"}})
    file = {"filename": "a.txt", "content": list(b"attached"), "content_id": "a"}
    here = {**MAIL, "from": "App <app@mk0r.localhost>", "to": "help@mk0r.localhost", "attachments": [file]}
    await sdk(vendor.Emails.send, here)
    (received, *_) = (await sdk(vendor.Emails.Receiving.list))["data"]
    mail = await sdk(vendor.Emails.Receiving.get, received["id"])
    ours = ["help@mk0r.localhost"]
    assert (mail["subject"], mail["to"], mail["received_for"]) == ("Hello", ours, ours)
    (listed,) = (await sdk(vendor.Emails.Receiving.Attachments.list, received["id"]))["data"]
    one = await sdk(vendor.Emails.Receiving.Attachments.get, received["id"], listed["id"])
    assert (one["filename"], one["size"]) == ("a.txt", 8)


@pytest.mark.parametrize("script", sorted(HERE.glob("*.test.mjs")), ids=lambda script: script.name)
async def test_the_sdk_for_node_does_the_same(
    script: Path, resend: Service, node_tests: Callable[..., Awaitable[None]]
) -> None:
    await node_tests(
        script,
        RESEND_BASE_URL=resend.base_url,
        RESEND_API_KEY=resend.key,
        LIVE="1" if resend.live else "",
    )
