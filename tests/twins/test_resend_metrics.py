"""The figures of what became of mail, and bodies and records that are not what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.secrets import Secret
from server.twins.core import Records
from server.twins.core.auth import digest
from tests.resend_stage import MAIL, Stage, refusal, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def figures(twin: Stage, query: str = "") -> dict[str, Any]:
    return await twin.do("GET", f"/emails/metrics?{query}")


async def test_mail_is_counted_by_what_became_of_it(twin: Stage) -> None:
    sent = await twin.send()
    await twin.send(to="bounced@resend.dev")
    for kind in ("opened", "opened", "clicked"):
        await twin.twin("POST", f"emails/{sent}/events", json={"type": kind})
    totals = (await figures(twin))["totals"]
    counted = {name: figure for name, figure in totals.items() if figure}
    assert counted == {
        "sent": 2,
        "delivered": 1,
        "bounced": 1,
        "bounced_permanent": 1,
        "opened": 2,
        "clicked": 1,
        "unique_opened": 1,
        "unique_clicked": 1,
        "delivery_rate": 0.5,
        "bounce_rate": 0.5,
        "open_rate": 1.0,
        "click_rate": 1.0,
    }


async def test_the_figures_come_by_day_by_domain_and_by_mail(twin: Stage) -> None:
    first = await twin.send()
    twin.clock.move(days=1)
    second = await twin.send(cc="bob@mail.test")
    told = await figures(twin, "metrics=sent&dimensions=period,domain")
    (domain,) = (await twin.do("GET", "/domains"))["data"]
    of = {"domain_id": domain["id"], "domain_name": "mk0r.localhost", "sent": 1}
    assert told["data"] == [{"period": "2026-11-23", **of}, {"period": "2026-11-24", **of}]
    assert told["totals"] == {"sent": 2}
    by_mail = await figures(twin, f"metrics=delivered&dimensions=email&email_id={second}")
    assert by_mail["data"] == [{"email_id": second, "delivered": 1}]
    early = await figures(twin, "metrics=sent&end_date=2026-11-23T23:00:00Z&dimensions=email")
    assert early["data"] == [{"email_id": first, "sent": 1}]
    assert (await figures(twin, f"metrics=sent&domain_id={domain['id']}"))["totals"] == {"sent": 2}
    for granularity, period in (("hourly", "2026-11-24T04:00:00"), ("weekly", "2026-11-23"), ("monthly", "2026-11-01")):
        query = f"dimensions=period&granularity={granularity}&timezone=America/New_York"
        assert (await figures(twin, query))["data"][-1]["period"] == period


@pytest.mark.parametrize(
    "query",
    [
        *("metrics=fame", "dimensions=planet", "granularity=yearly", "timezone=Moon/Base", "start_date=monday"),
        *("dimensions=email,broadcast", "email_id=a&broadcast_id=b", "start_date=2026-11-23&end_date=2026-11-01"),
    ],
)
async def test_figures_that_cannot_be_are_refused(twin: Stage, query: str) -> None:
    answer = await twin.api.get(f"/emails/metrics?{query}")
    if "timezone" in query:
        answer = await twin.api.get(f"/emails/metrics?{query}&dimensions=period")
    assert refusal(answer) == (422, "validation_error")


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"\xff", b'{"name": NaN}', b'{"name": "\\ud800"}', b"[" * 100_000),
    ],
)
async def test_a_body_that_is_no_json_is_refused(twin: Stage, body: bytes) -> None:
    assert refusal(await twin.api.post("/segments", content=body)) == (400, "validation_error")


@pytest.mark.parametrize(
    "change",
    [
        *({"to": 7}, {"to": [7]}, {"subject": ["a"]}, {"html": 1}, {"text": []}, {"tags": {}}, {"tags": [1]}),
        *({"headers": {"X": {}}}, {"attachments": {}}, {"attachments": [1]}, {"scheduled_at": 5}, {"cc": {}}),
        *({"template": "x", "html": None, "text": None}, {"topic_id": 5}, {"reply_to": 5}),
    ],
)
async def test_a_field_of_the_wrong_kind_is_refused(twin: Stage, change: Any) -> None:
    assert await twin.refused("POST", "/emails", {**MAIL, **change}) == (422, "validation_error")


async def test_records_of_the_twins_first_days_are_still_good(tmp_path: Path) -> None:
    token, at = Secret("re_old_token"), "2026-01-31T09:30:00.000Z"
    records = Records(tmp_path / "records.sqlite")
    domain: dict[str, Any] = {
        "id": "00000000-0000-4000-8000-000000000002",
        "name": "mk0r.localhost",
        "status": "verified",
        "created_at": at,
        "region": "us-east-1",
        "open_tracking": False,
        "click_tracking": False,
        "capabilities": {"sending": "enabled", "receiving": "disabled"},
        "records": [],
    }
    key: dict[str, Any] = {
        "id": "00000000-0000-4000-8000-000000000003",
        "name": "app",
        "permission": "sending_access",
        "domain_id": None,
        "digest": digest(token.reveal()),
        "created_at": at,
        "last_used_at": None,
    }
    email: dict[str, Any] = {
        **MAIL,
        "cc": [],
        "bcc": [],
        "reply_to": [],
        "headers": {},
        "tags": [],
        "attachments": ["a.txt"],
        "scheduled_at": None,
        "id": "00000000-0000-4000-8000-000000000004",
        "created_at": at,
        "key": "app",
        "message_id": "<1@mk0r.localhost>",
        "last_event": "delivered",
    }
    records.put("domain", domain["id"], domain)
    records.put("api_key", key["id"], key)
    records.put("token", digest(token.reveal()), {"key": key["id"]})
    records.put("email", email["id"], email)
    records.close()
    async with stage(tmp_path) as twin:
        old = {"Authorization": f"Bearer {token.reveal()}"}
        assert (await twin.api.post("/emails", json=MAIL, headers=old)).status_code == 200
        assert (await twin.do("GET", f"/emails/{email['id']}"))["created_at"] == "2026-01-31 09:30:00.000000+00"
        assert (await twin.do("GET", f"/domains/{domain['id']}"))["records"]
        assert [row["name"] for row in (await twin.do("GET", "/api-keys"))["data"]] == ["operator", "app"]
        for path in ("", "domains", "keys", f"mail/{email['id']}"):
            assert await twin.twin("GET", f"view?at={path}")
