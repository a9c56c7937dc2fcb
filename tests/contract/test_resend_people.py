"""Contacts, segments, topics and broadcasts through the unmodified `resend` for Python."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import resend as vendor

from tests.contract.resend_sdk import INBOX, SENDER, Sdk, opened, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Service


@pytest.fixture
async def sdk(resend: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sdk]:
    async with opened(resend, monkeypatch) as sdk:
        yield sdk


async def test_contacts_live_in_segments_and_subscribe_to_topics(sdk: Sdk) -> None:
    segment, email = await sdk.a_segment(), f"{unique()}@resend.dev"
    topic = (await sdk(vendor.Topics.create, {"name": unique(), "default_subscription": "opt_in"}))["id"]
    sdk.made(vendor.Topics.remove, topic)
    made = await sdk(vendor.Contacts.create, {"email": email, "first_name": "Ann", "segments": [{"id": segment}]})
    sdk.made(vendor.Contacts.remove, email=email)
    await sdk(vendor.Contacts.update, {"email": email, "last_name": "Lee", "unsubscribed": True})
    contact = await sdk(vendor.Contacts.get, email=email)
    assert (contact["id"], contact["first_name"], contact["unsubscribed"]) == (made["id"], "Ann", True)
    assert [each["id"] for each in (await sdk(vendor.Contacts.list, segment_id=segment))["data"]] == [made["id"]]
    joined = await sdk(vendor.Contacts.Segments.list, {"email": email})
    assert [each["id"] for each in joined["data"]] == [segment]
    other = await sdk.a_segment()
    await sdk(vendor.Contacts.Segments.add, {"segment_id": other, "contact_id": made["id"]})
    gone = await sdk(vendor.Contacts.Segments.remove, {"segment_id": other, "email": email})
    assert gone["deleted"] is True

    wanted = [{"id": topic, "subscription": "opt_out"}]
    await sdk(vendor.Contacts.Topics.update, {"email": email, "topics": wanted})
    said = (await sdk(vendor.Contacts.Topics.list, email=email))["data"]
    assert next(each["subscription"] for each in said if each["id"] == topic) == "opt_out"
    await sdk(vendor.Topics.update, topic, {"name": unique(), "description": "Weekly"})
    assert (await sdk(vendor.Topics.get, topic))["description"] == "Weekly"
    assert (await sdk(vendor.Contacts.remove, email=email))["deleted"] is True


async def test_an_audience_is_a_segment_by_its_old_name(sdk: Sdk) -> None:
    with pytest.warns(DeprecationWarning, match="Segments"):
        made = await sdk(vendor.Audiences.create, {"name": unique()})
    sdk.made(vendor.Segments.remove, made["id"])
    assert (await sdk(vendor.Segments.get, made["id"]))["object"] == "segment"
    added = await sdk(vendor.Contacts.create, {"email": f"{unique()}@resend.dev", "audience_id": made["id"]})
    sdk.made(vendor.Contacts.remove, id=added["id"])
    assert len((await sdk(vendor.Contacts.list, audience_id=made["id"]))["data"]) == 1


async def test_what_is_known_of_contacts_is_declared(sdk: Sdk) -> None:
    key, email = unique().replace("-", "_"), f"{unique()}@resend.dev"
    made = await sdk(vendor.ContactProperties.create, {"key": key, "type": "number", "fallback_value": 1})
    sdk.made(vendor.ContactProperties.remove, made["id"])
    await sdk(vendor.ContactProperties.update, {"id": made["id"], "fallback_value": 2})
    assert (await sdk(vendor.ContactProperties.get, made["id"]))["fallback_value"] == 2
    assert key in [each["key"] for each in (await sdk(vendor.ContactProperties.list))["data"]]
    contact = await sdk(vendor.Contacts.create, {"email": email, "properties": {key: 7}})
    sdk.made(vendor.Contacts.remove, id=contact["id"])
    shown = await sdk(vendor.Contacts.get, id=contact["id"])
    assert shown["properties"][key] == {"type": "number", "value": 7}


async def test_contacts_are_imported_from_a_file(sdk: Sdk) -> None:
    segment, email = await sdk.a_segment(), f"{unique()}@resend.dev"
    csv = f"email,first_name\n{email},Ann\n".encode()
    made = await sdk(vendor.Contacts.Imports.create, {"file": csv, "segments": [{"id": segment}]})
    async with asyncio.timeout(60):
        while (told := await sdk(vendor.Contacts.Imports.get, made["id"]))["status"] != "completed":
            assert told["status"] in ("queued", "in_progress")
    assert (told["counts"]["total"], told["counts"]["created"]) == (1, 1)
    assert (await sdk(vendor.Contacts.Imports.list, {"limit": 1}))["data"][0]["id"] == made["id"]
    await sdk(vendor.Contacts.remove, email=email)


async def test_a_broadcast_is_drafted_changed_and_sent_to_its_segment(sdk: Sdk, resend: Service) -> None:
    segment = await sdk.a_segment()
    content = {"from": SENDER, "subject": "News", "html": "<p>{{{FIRST_NAME|you}}}</p>", "text": "you"}
    made = await sdk(vendor.Broadcasts.create, {"segment_id": segment, "name": unique(), **content})
    sdk.made(vendor.Broadcasts.remove, made["id"])
    await sdk(vendor.Broadcasts.update, {"broadcast_id": made["id"], "subject": "Newer", "preview_text": "Short"})
    shown = await sdk(vendor.Broadcasts.get, made["id"])
    assert (shown["status"], shown["subject"], shown["segment_id"]) == ("draft", "Newer", segment)
    assert made["id"] in [each["id"] for each in (await sdk(vendor.Broadcasts.list))["data"]]
    copy = await sdk(vendor.Broadcasts.duplicate, made["id"])
    assert (await sdk(vendor.Broadcasts.remove, copy["id"]))["deleted"] is True
    if resend.stack is None:
        return  # a live one cannot be unsent, nor the contacts be told
    contact = await sdk(vendor.Contacts.create, {"email": INBOX, "segments": [{"id": segment}]})
    sdk.made(vendor.Contacts.remove, id=contact["id"])
    assert (await sdk(vendor.Broadcasts.send, {"broadcast_id": made["id"]}))["id"] == made["id"]
    async with asyncio.timeout(20):
        while (await sdk(vendor.Broadcasts.get, made["id"]))["status"] != "sent":
            pass
    (reached,) = (await sdk(vendor.Broadcasts.recipients, made["id"], {"type": "delivered"}))["data"]
    assert (reached["email"], reached["contact_id"]) == (INBOX, contact["id"])
    assert (await sdk(vendor.Broadcasts.clicked_links, made["id"]))["data"] == []
    later = {"segment_id": segment, **content, "send": True, "scheduled_at": "in 1 day"}
    scheduled = await sdk(vendor.Broadcasts.create, later)
    assert (await sdk(vendor.Broadcasts.cancel, scheduled["id"]))["object"] == "broadcast"
    await sdk(vendor.Broadcasts.remove, scheduled["id"])


async def test_suppressed_addresses_are_listed_and_released(sdk: Sdk) -> None:
    email = f"{unique()}@resend.dev"
    made = await sdk(vendor.Suppressions.add, {"email": email})
    shown = await sdk(vendor.Suppressions.get, email)
    assert (shown["id"], shown["origin"]) == (made["id"], "manual")
    assert email in [each["email"] for each in (await sdk(vendor.Suppressions.list, {"origin": "manual"}))["data"]]
    assert (await sdk(vendor.Suppressions.remove, made["id"]))["deleted"] is True
    added = await sdk(vendor.Suppressions.Batch.add, {"emails": [email]})
    gone = await sdk(vendor.Suppressions.Batch.remove, {"ids": [added["data"][0]["id"]]})
    assert gone["data"][0]["deleted"] is True
