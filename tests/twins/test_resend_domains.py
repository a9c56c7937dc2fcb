"""Sending domains and their life, receiving ones and the mail that comes in."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.resend_stage import ADMIN, MAIL, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PNG = b"\x89PNG\r\n\x1a\n not really"


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def test_a_domain_of_this_machine_is_verified_after_it_was_asked_for(twin: Stage) -> None:
    made = await twin.do("POST", "/domains", {"name": "Mail.Shop.test", "custom_return_path": "bounce"})
    assert (made["name"], made["status"], made["region"]) == ("mail.shop.test", "not_started", "us-east-1")
    assert [(record["record"], record["type"], record["name"]) for record in made["records"]] == [
        ("SPF", "MX", "bounce.mail"),
        ("SPF", "TXT", "bounce.mail"),
        ("DKIM", "TXT", "resend._domainkey.mail"),
    ]
    mail = {**MAIL, "from": "hi@mail.shop.test"}
    assert await twin.refused("POST", "/emails", mail) == (403, "validation_error")
    path = f"/domains/{made['id']}"
    assert await twin.do("POST", f"{path}/verify") == {"object": "domain", "id": made["id"]}
    async with asyncio.timeout(10):
        while (await twin.do("GET", path))["status"] != "verified":
            pass
    assert {record["status"] for record in (await twin.do("GET", path))["records"]} == {"verified"}
    assert await twin.do("POST", "/emails", mail)


async def test_a_domain_of_the_world_waits_for_its_dns_and_fails_after_three_days(twin: Stage) -> None:
    made = await twin.do("POST", "/domains", {"name": "shop.example"})
    path = f"/domains/{made['id']}"
    await twin.do("POST", f"{path}/verify")
    await twin.chores()
    assert (await twin.do("GET", path))["status"] == "pending"
    twin.clock.move(hours=73)
    await twin.chores()
    assert (await twin.do("GET", path))["status"] == "failed"
    await twin.twin("PUT", "domains/shop.example", json={"status": "verified"})
    assert await twin.do("POST", "/emails", {**MAIL, "from": "hi@shop.example"})
    for name, body, status in (("shop.example", {"status": "fine"}, 422), ("no.test", {"status": "verified"}, 404)):
        assert (await twin.api.put(f"/_twin/domains/{name}", json=body, headers=ADMIN)).status_code == status


async def test_a_domain_is_set_up_and_taken_away(twin: Stage) -> None:
    made = await twin.do("POST", "/domains", {"name": "shop.test"})
    path = f"/domains/{made['id']}"
    changes = {"open_tracking": True, "tls": "enforced", "tracking_subdomain": "links"}
    both = {"sending": "enabled", "receiving": "enabled"}
    assert await twin.do("PATCH", path, {**changes, "capabilities": both}) == {"object": "domain", "id": made["id"]}
    shown = await twin.do("GET", path)
    assert (shown["open_tracking"], shown["tracking_subdomain"], shown["capabilities"]) == (True, "links", both)
    assert {"Receiving", "Tracking"} < {record["record"] for record in shown["records"]}
    listed = (await twin.do("GET", "/domains"))["data"]
    assert "records" not in listed[0]
    assert await twin.refused("POST", "/domains", {"name": "shop.test"}) == (403, "validation_error")
    for bad in ({"name": "shop"}, {"name": "a b.test"}, {"name": "x.test", "capabilities": {"sending": "disabled"}}):
        assert await twin.refused("POST", "/domains", bad) == (422, "validation_error")
    assert await twin.refused("POST", "/domains", {}) == (422, "missing_required_field")
    assert (await twin.do("DELETE", path))["deleted"] is True


# Receiving


async def receiving(twin: Stage) -> None:
    (domain,) = (await twin.do("GET", "/domains"))["data"]
    await twin.do("PATCH", f"/domains/{domain['id']}", {"capabilities": {"receiving": "enabled"}})


async def test_mail_from_one_of_ours_to_one_of_ours_arrives(twin: Stage) -> None:
    await twin.send(to="help@mk0r.localhost")
    assert (await twin.do("GET", "/emails/receiving"))["data"] == []
    await receiving(twin)
    await twin.send(to=["help@mk0r.localhost", "ann@mail.test"], bcc="shop@mk0r.localhost")
    (received,) = (await twin.do("GET", "/emails/receiving"))["data"]
    assert received["received_for"] == ["help@mk0r.localhost", "shop@mk0r.localhost"]
    mail = await twin.do("GET", f"/emails/receiving/{received['id']}")
    assert (mail["subject"], mail["text"].strip(), mail["created_at"]) == ("Hello", "Hi", "2026-11-23T09:00:00.000Z")
    assert (await twin.do("GET", "/usage"))["emails"]["daily"]["received"] == 1


async def test_mail_from_outside_arrives_with_its_images_and_files(twin: Stage) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Zoë <zoe@world.test>", "help@mk0r.localhost", "Hilfe"
    message["Reply-To"], message["Message-ID"] = "else@world.test", "<1@world.test>"
    message.set_content("plain")
    message.add_alternative('<img src="cid:logo">', subtype="html")
    message.get_payload()[1].add_related(PNG, "image", "png", cid="<logo>")  # type: ignore[union-attr]
    message.add_attachment(b"numbers", maintype="application", subtype="pdf", filename="report.pdf")
    refused = await twin.api.post("/_twin/inbound?to=help@mk0r.localhost", content=b"x", headers=ADMIN)
    assert refused.status_code == 422
    await receiving(twin)
    made = await twin.twin("POST", "inbound?to=help@mk0r.localhost", content=message.as_bytes())

    path = f"/emails/receiving/{made['id']}"
    mail = await twin.do("GET", path)
    assert (mail["object"], mail["from"], mail["to"]) == ("email", "Zoë <zoe@world.test>", ["help@mk0r.localhost"])
    assert (mail["reply_to"], mail["message_id"]) == (["else@world.test"], "<1@world.test>")
    assert "data:image/png;base64," in mail["html"]
    assert "cid:logo" in (await twin.do("GET", f"{path}?html_format=cid"))["html"]
    assert await twin.refused("GET", f"{path}?html_format=pdf") == (422, "validation_error")
    files = (await twin.do("GET", f"{path}/attachments"))["data"]
    assert [file.get("filename") for file in files] == [None, "report.pdf"]
    one = await twin.do("GET", f"{path}/attachments/{files[1]['id']}")
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(one["download_url"])).content == b"numbers"
        assert (await anybody.get(files[0]["download_url"])).content == PNG
        assert (await anybody.get(mail["raw"]["download_url"])).content == message.as_bytes()
