"""Webhooks: signed, told at once, told again, and never beyond this machine."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import resend
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from server.twins.core.serve import bind, serving
from tests.resend_stage import ANN, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from starlette.requests import Request


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


@dataclass
class Listener:
    """A program that wants to hear of events."""

    port: int = 0
    status: int = 200
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list[tuple[dict[str, str], str]])
    called: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.heard]

    async def listen(self, request: Request) -> Response:
        self.heard.append((dict(request.headers), (await request.body()).decode()))
        self.called.set()
        return Response("heard", self.status)


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener]:
    listener = Listener()
    app = Starlette(routes=[Route("/hook", listener.listen, methods=["POST"])])
    async with serving(app, bind(), drain=1) as listener.port:
        yield listener


async def subscribe(twin: Stage, listener: Listener, *events: str, host: str = "localhost") -> Any:
    endpoint = f"http://{host}:{listener.port}/hook"
    return await twin.do("POST", "/webhooks", {"endpoint": endpoint, "events": list(events)})


async def test_a_webhook_hears_what_it_asked_for_and_the_sdk_trusts_the_signature(
    twin: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as listener:
        made = await subscribe(twin, listener, "email.delivered", "email.clicked", host="5173-abc.localhost")
        sent = await twin.send(tags=[{"name": "kind", "value": "welcome"}])
        click = {"type": "clicked", "link": "https://a.test/"}
        await twin.twin("POST", f"emails/{sent}/events", json=click)
        await twin.chores()
        assert sorted(listener.types) == ["email.clicked", "email.delivered"]
        for headers, payload in listener.heard:
            svix = {name: headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
            monkeypatch.setattr(time, "time", twin.clock.now.timestamp)  # the SDK refuses what is old
            proof: Any = {"payload": payload, "headers": svix, "webhook_secret": made["signing_secret"]}
            told: Any = resend.Webhooks.verify(proof)
            monkeypatch.undo()
            assert (told["data"]["email_id"], told["data"]["to"]) == (sent, [ANN])
            assert told["data"]["tags"] == {"kind": "welcome"}
            assert headers["host"] == f"5173-abc.localhost:{listener.port}"
        (clicked,) = [json.loads(body) for _, body in listener.heard if "clicked" in body]
        assert clicked["data"]["click"]["link"] == "https://a.test/"


async def test_an_event_is_told_at_once_without_being_asked_for(twin: Stage) -> None:
    async with listening() as listener:
        await subscribe(twin, listener, "email.sent")
        await twin.send()
        async with asyncio.timeout(10):
            await listener.called.wait()


async def test_a_webhook_that_fails_is_told_again_ever_more_slowly_and_then_no_more(twin: Stage) -> None:
    async with listening() as listener:
        listener.status = 500
        made = await subscribe(twin, listener, "email.sent")
        await twin.send()
        await twin.chores()
        (event,) = (await twin.do("GET", f"/webhooks/{made['id']}/events"))["data"]
        assert (event["type"], event["status"]) == ("email.sent", "attempting")
        for wait in (5, 300, 1_800, 7_200, 18_000, 36_000):
            before = len(listener.heard)
            await twin.chores()
            assert len(listener.heard) == before
            twin.clock.move(seconds=wait)
            await twin.chores()
            assert len(listener.heard) == before + 1
        path = f"/webhooks/{made['id']}/events/{event['id']}"
        told = await twin.do("GET", path)
        assert (told["object"], told["status"], told["next_attempt_at"]) == ("webhook_event", "failed", None)
        attempts = (await twin.do("GET", f"{path}/attempts"))["data"]
        assert [(each["http_status_code"], each["response"]) for each in attempts] == [(500, "heard")] * 7

        listener.status = 200
        assert await twin.do("POST", f"{path}/replay") == {"object": "webhook_event", "id": event["id"]}
        await twin.chores()
        assert (await twin.do("GET", path))["status"] == "success"


async def test_an_event_outlives_the_twin_and_the_listeners_absence(tmp_path: Path) -> None:
    async with listening() as listener:
        async with stage(tmp_path) as twin:
            listener.status = 503
            await subscribe(twin, listener, "email.sent")
            await twin.send()
            await twin.chores()
        listener.status = 200
        clock = twin.clock
        clock.move(seconds=5)
        before = len(listener.heard)
        async with stage(tmp_path, clock) as twin:
            await twin.chores()
        assert len(listener.heard) == before + 1
        assert listener.heard[0][1] == listener.heard[-1][1]


async def test_nobody_beyond_this_machine_is_told(twin: Stage) -> None:
    made = await twin.do("POST", "/webhooks", {"endpoint": "https://hooks.evil.test/x", "events": ["email.sent"]})
    await twin.send()
    await twin.chores()
    (event,) = (await twin.do("GET", f"/webhooks/{made['id']}/events"))["data"]
    (attempt,) = (await twin.do("GET", f"/webhooks/{made['id']}/events/{event['id']}/attempts"))["data"]
    assert (event["status"], attempt["http_status_code"]) == ("failed", -1)


async def test_webhooks_are_kept_changed_and_taken_away(twin: Stage) -> None:
    async with listening() as listener:
        made = await subscribe(twin, listener, "email.sent")
        path = f"/webhooks/{made['id']}"
        assert (await twin.do("GET", path))["signing_secret"] == made["signing_secret"]
        (listed,) = (await twin.do("GET", "/webhooks"))["data"]
        assert set(listed) == {"id", "endpoint", "created_at", "status", "events"}
        rotated = await twin.do("POST", f"{path}/signing-secret/rotate")
        assert rotated["signing_secret"] not in ("", made["signing_secret"])
        await twin.do("PATCH", path, {"status": "disabled"})
        await twin.send()
        await twin.chores()
        assert listener.heard == []
        assert await twin.do("DELETE", path) == {"object": "webhook", "id": made["id"], "deleted": True}
    for bad, name in (
        ({"events": ["email.sent"]}, "missing_required_field"),
        ({"endpoint": "http://localhost"}, "missing_required_field"),
        ({"endpoint": "localhost", "events": ["email.sent"]}, "validation_error"),
        ({"endpoint": "http://localhost", "events": ["email.lost"]}, "validation_error"),
    ):
        assert await twin.refused("POST", "/webhooks", bad) == (422, name)


async def test_contacts_domains_topics_and_suppressions_have_events_too(twin: Stage) -> None:
    async with listening() as listener:
        kinds = ("contact.created", "contact.updated", "contact.deleted", "contact.topics.updated")
        others = ("domain.created", "domain.deleted", "topic.created", "topic.deleted", "suppression.added")
        await subscribe(twin, listener, *kinds, *others)
        topic = await twin.do("POST", "/topics", {"name": "News", "default_subscription": "opt_in"})
        await twin.do("POST", "/contacts", {"email": ANN})
        await twin.do("PATCH", f"/contacts/{ANN}", {"first_name": "Ann"})
        await twin.do("PATCH", f"/contacts/{ANN}/topics", [{"id": topic["id"], "subscription": "opt_out"}])
        await twin.do("DELETE", f"/contacts/{ANN}")
        await twin.do("DELETE", f"/topics/{topic['id']}")
        domain = await twin.do("POST", "/domains", {"name": "news.test"})
        await twin.do("DELETE", f"/domains/{domain['id']}")
        await twin.do("POST", "/suppressions", {"email": ANN})
        await twin.chores()
        assert sorted(listener.types) == sorted([*kinds, *others])
