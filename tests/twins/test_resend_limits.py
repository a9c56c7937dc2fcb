"""How often and how much: the team's rate limit, its quotas, and what the headers and `/usage` say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.resend_stage import MAIL, Stage, refusal, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def twin(tmp_path: Path) -> AsyncIterator[Stage]:
    """A new one for each test, as what was counted is not forgotten with the rest."""
    async with stage(tmp_path) as twin:
        yield twin


@pytest.fixture
async def limited(twin: Stage) -> Stage:
    await twin.twin("PUT", "limits", json={"enforced": True})
    return twin


def said(answer: httpx.Response, prefix: str) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith(prefix)}


async def test_the_sixth_call_of_a_second_is_refused_whoever_of_the_team_makes_it(limited: Stage) -> None:
    restricted = await limited.key()  # the first call
    answers = [await limited.api.get("/segments", headers=restricted if n % 2 else {}) for n in range(4)]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["3", "2", "1", "0"]
    assert said(answers[0], "ratelimit") == {
        "ratelimit-limit": "5",
        "ratelimit-policy": "5;w=1",
        "ratelimit-remaining": "3",
        "ratelimit-reset": "1",
    }
    assert "retry-after" not in answers[-1].headers
    sixth = await limited.api.post("/emails", json=MAIL, headers=restricted)
    assert refusal(sixth) == (429, "rate_limit_exceeded")
    assert sixth.json()["message"].startswith("Too many requests. You can only make 5 requests per second.")
    assert (sixth.headers["retry-after"], sixth.headers["ratelimit-remaining"]) == ("1", "0")
    limited.clock.move(seconds=1)
    assert (await limited.api.post("/emails", json=MAIL, headers=restricted)).status_code == 200


async def test_refusals_of_every_kind_say_where_the_limit_stands(limited: Stage) -> None:
    async with httpx.AsyncClient(base_url=limited.base_url) as nobody:
        strange = await nobody.get("/segments")
    missing = await limited.api.get("/nothing")
    wrong = await limited.api.post("/emails", json={})
    assert [answer.status_code for answer in (strange, missing, wrong)] == [401, 404, 422]
    assert all(answer.headers["ratelimit-limit"] == "5" for answer in (strange, missing, wrong))


async def test_strangers_do_not_use_up_the_teams_calls(limited: Stage) -> None:
    async with httpx.AsyncClient(base_url=limited.base_url) as nobody:
        statuses = [(await nobody.get("/segments")).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert (await limited.api.get("/segments")).headers["ratelimit-remaining"] == "4"


async def test_the_operator_sets_the_rate(limited: Stage) -> None:
    await limited.twin("PUT", "limits", json={"allowances": {"requests": {"limit": 2, "seconds": 1}}})
    statuses = [(await limited.api.get("/segments")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await limited.twin("PUT", "limits", json={"enforced": False}))["enforced"] is False
    assert (await limited.api.get("/segments")).status_code == 200


async def test_a_free_team_sends_a_hundred_mails_a_day_counted_by_recipient(twin: Stage) -> None:
    await twin.twin("PUT", "plan", json={"name": "free"})
    most = {**MAIL, "to": [f"a{n}@mail.test" for n in range(49)], "cc": [f"b{n}@mail.test" for n in range(50)]}
    answer = await twin.api.post("/emails", json=most)
    assert said(answer, "x-resend") == {"x-resend-daily-quota": "99", "x-resend-monthly-quota": "99"}
    assert await twin.refused("POST", "/emails/batch", [MAIL, MAIL]) == (429, "daily_quota_exceeded")
    await twin.send()
    answer = await twin.api.post("/emails", json=MAIL)
    assert refusal(answer) == (429, "daily_quota_exceeded")
    assert answer.json()["message"] == "You have reached your daily email sending quota."
    twin.clock.move(days=1)
    answer = await twin.api.post("/emails", json=MAIL)
    assert said(answer, "x-resend") == {"x-resend-daily-quota": "1", "x-resend-monthly-quota": "101"}


async def test_a_month_has_its_own_quota_and_a_paid_plan_no_daily_one(twin: Stage) -> None:
    await twin.twin("PUT", "plan", json={"monthly": 2})
    assert "x-resend-daily-quota" not in (await twin.api.post("/emails", json=MAIL)).headers
    await twin.send()
    assert await twin.refused("POST", "/emails", MAIL) == (429, "monthly_quota_exceeded")
    twin.clock.move(days=31)
    await twin.send()


async def test_a_mail_that_is_refused_costs_nothing(twin: Stage) -> None:
    await twin.refused("POST", "/emails", {**MAIL, "to": "nobody"})
    await twin.refused("POST", "/emails", {**MAIL, "attachments": [{"path": "http://10.0.0.1/a"}]})
    assert (await twin.do("GET", "/usage"))["emails"]["daily"]["used"] == 0


async def test_usage_tells_what_is_used_of_the_plan(twin: Stage) -> None:
    await twin.twin("PUT", "plan", json={"name": "free"})
    await twin.send(cc="bob@mail.test")
    await twin.do("POST", "/segments", {"name": "Users"})
    used: dict[str, Any] = await twin.do("GET", "/usage")
    day = {"used": 2, "limit": 100, "sent": 2, "received": 0, "resets_at": "2026-11-24T00:00:00.000Z"}
    month = {**day, "limit": 3000, "resets_at": "2026-12-01T00:00:00.000Z"}
    assert used["emails"] == {"daily": day, "monthly": month}
    assert (used["segments"], used["domains"]) == ({"used": 1, "limit": 3}, {"used": 1, "limit": 1})
    assert used["rate_limit"] == {"limit": 5, "duration": "1000ms"}
