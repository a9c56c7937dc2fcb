"""Keys, domains, webhooks, usage and logs through the unmodified `resend` for Python."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import resend as vendor
from resend.exceptions import (
    InvalidApiKeyError,
    MissingApiKeyError,
    ResendError,
)
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from server.twins.core.serve import bind, serving
from tests.contract.resend_sdk import INBOX, MAIL, Sdk, opened, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from tests.contract.conftest import Service


@pytest.fixture
async def sdk(resend: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sdk]:
    async with opened(resend, monkeypatch) as sdk:
        yield sdk


async def test_a_sending_key_sends_and_does_nothing_else(sdk: Sdk) -> None:
    made = await sdk(vendor.ApiKeys.create, {"name": unique(), "permission": "sending_access"})
    sdk.made(vendor.ApiKeys.remove, made["id"])
    assert (await sdk(vendor.Emails.send, MAIL, key=made["token"]))["id"]
    with pytest.raises(ResendError) as refused:
        await sdk(vendor.Contacts.create, {"email": INBOX}, key=made["token"])
    assert (refused.value.code, refused.value.error_type) == (401, "restricted_api_key")
    renamed = unique()
    await sdk(vendor.ApiKeys.update, {"id": made["id"], "name": renamed})
    assert renamed in [each["name"] for each in (await sdk(vendor.ApiKeys.list))["data"]]
    await sdk(vendor.ApiKeys.remove, made["id"])
    with pytest.raises(InvalidApiKeyError):
        await sdk(vendor.Emails.send, MAIL, key=made["token"])


async def test_no_key_is_not_a_wrong_key(sdk: Sdk, resend: Service) -> None:
    async with httpx.AsyncClient(base_url=resend.base_url) as nobody:
        missing = await nobody.get("/domains", headers={"User-Agent": "test"})
    assert (missing.status_code, missing.json()["name"]) == (401, "missing_api_key")
    with pytest.raises((InvalidApiKeyError, MissingApiKeyError)):
        await sdk(vendor.Domains.list, key="re_wrong_key")


async def test_a_domain_is_made_checked_and_removed(sdk: Sdk, resend: Service) -> None:
    made = await sdk(vendor.Domains.create, {"name": f"{unique()}.test", "region": "eu-west-1"})
    sdk.made(vendor.Domains.remove, made["id"])
    assert (made["status"], made["region"]) == ("not_started", "eu-west-1")
    assert {record["record"] for record in made["records"]} == {"SPF", "DKIM"}
    await sdk(vendor.Domains.update, {"id": made["id"], "open_tracking": True, "tls": "enforced"})
    assert (await sdk(vendor.Domains.verify, made["id"]))["id"] == made["id"]
    wanted = "pending" if resend.live else "verified"
    async with asyncio.timeout(20):
        while (await sdk(vendor.Domains.get, made["id"]))["status"] != wanted:
            pass
    assert (await sdk(vendor.Domains.remove, made["id"]))["deleted"] is True


async def test_a_webhook_is_kept_and_tells_what_the_sdk_can_verify(sdk: Sdk, resend: Service) -> None:
    heard: asyncio.Queue[tuple[dict[str, str], str]] = asyncio.Queue()

    async def listen(request: Request) -> Response:
        heard.put_nowait((dict(request.headers), (await request.body()).decode()))
        return Response()

    async with serving(Starlette(routes=[Route("/hook", listen, methods=["POST"])]), bind(), drain=1) as port:
        endpoint = f"http://localhost:{port}/hook"
        made = await sdk(vendor.Webhooks.create, {"endpoint": endpoint, "events": ["email.sent"]})
        sdk.made(vendor.Webhooks.remove, made["id"])
        await sdk(vendor.Webhooks.update, {"webhook_id": made["id"], "events": ["email.delivered"]})
        assert (await sdk(vendor.Webhooks.get, made["id"]))["events"] == ["email.delivered"]
        assert made["id"] in [each["id"] for each in (await sdk(vendor.Webhooks.list))["data"]]
        if resend.live:
            return
        sent = await sdk(vendor.Emails.send, MAIL)
        async with asyncio.timeout(20):
            headers, payload = await heard.get()
        svix = {name: headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
        proof: Any = {"payload": payload, "headers": svix, "webhook_secret": made["signing_secret"]}
        told: Any = vendor.Webhooks.verify(proof)
        assert (told["type"], told["data"]["email_id"]) == ("email.delivered", sent["id"])
        forged: Any = {**proof, "payload": payload + " "}
        with pytest.raises(ValueError, match="signature"):
            vendor.Webhooks.verify(forged)
        (event,) = (await sdk(vendor.Webhooks.list_events, made["id"]))["data"]
        assert (await sdk(vendor.Webhooks.get_event, made["id"], event["id"]))["payload"] == json.loads(payload)
        await sdk(vendor.Webhooks.replay_event, made["id"], event["id"])
        async with asyncio.timeout(20):
            assert (await heard.get())[1] == payload
        assert (await sdk(vendor.Webhooks.list_event_attempts, made["id"], event["id"]))["data"]
        assert (await sdk(vendor.Webhooks.rotate_signing_secret, made["id"]))["signing_secret"].startswith("whsec_")


async def test_usage_and_the_log_of_calls_can_be_read(sdk: Sdk) -> None:
    used = await sdk(vendor.Usage.get)
    assert used["emails"]["monthly"]["used"] <= used["emails"]["monthly"]["limit"]
    assert used["rate_limit"]["duration"] == "1000ms"
    (latest,) = (await sdk(vendor.Logs.list, {"limit": 1}))["data"]
    told = await sdk(vendor.Logs.get, latest["id"])
    assert (told["object"], told["method"]) == ("log", "GET")
