"""GitHub's limits, by the twin's own clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.twins.github_stage import ADMIN, Twin, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def twin(tmp_path: Path) -> AsyncIterator[Twin]:
    async with running(tmp_path) as twin:
        await twin.call("POST /orgs/mk0r-apps/repos", "ghp_operator", json={"name": "one", "private": True})
        yield twin


async def allow(twin: Twin, **figures: tuple[int, float]) -> None:
    allowances = {name.replace("_", " "): {"limit": limit, "seconds": s} for name, (limit, s) in figures.items()}
    await twin.own("PUT", "limits", allowances=allowances)


async def test_the_tokens_of_a_user_share_one_allowance_and_an_installations_has_its_own(twin: Twin) -> None:
    await allow(twin, core=(3, 3600))
    other = (await twin.own("POST", "tokens"))["token"]
    for token in (other, "ghp_operator"):
        assert (await twin.call("GET /user", token)).status_code == 200
    refused = await twin.call("GET /user", other)
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert refused.json()["message"] == "API rate limit exceeded for user ID 1001."
    assert int(refused.headers["x-ratelimit-reset"]) == int(twin.clock.now.timestamp()) + 3600
    assert (await twin.call("GET /rate_limit", other)).json()["rate"]["remaining"] == 0
    installed = await twin.installation_token("mk0r-apps")
    assert (await twin.call("GET /repos/mk0r-apps/one", installed)).headers["x-ratelimit-limit"] == "5000"
    twin.clock.now += timedelta(hours=1)
    assert (await twin.call("GET /user", other)).headers["x-ratelimit-remaining"] == "2"


async def test_an_installation_has_fifty_calls_more_for_every_repository_past_its_twentieth(twin: Twin) -> None:
    token = await twin.installation_token("mk0r-apps")
    for number in range(21):
        await twin.call("POST /orgs/mk0r-apps/repos", token, json={"name": f"r{number}"})
    answer = await twin.call("GET /repos/mk0r-apps/one", token)
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("5100", "5078")


async def test_eighty_creations_a_minute_and_five_hundred_an_hour(twin: Twin) -> None:
    async def make(count: int) -> list[int]:
        answers = [await twin.call("POST /user/repos", "ghp_operator", json={"name": "taken"}) for _ in range(count)]
        return [answer.status_code for answer in answers]

    twin.clock.now += timedelta(hours=1)
    assert (await make(81))[-2:] == [422, 403]
    refused = await twin.call("POST /user/repos", "ghp_operator", json={"name": "taken"})
    assert refused.headers["retry-after"] == "60"
    assert "temporarily blocked from content creation" in refused.json()["message"]
    assert (await twin.call("GET /user", "ghp_operator")).status_code == 200
    await allow(twin, creations_an_hour=(82, 3600))
    twin.clock.now += timedelta(minutes=1)
    assert await make(3) == [422, 422, 403]
    assert (await twin.call("POST /user/repos", "ghp_operator", json={})).headers["retry-after"] == "3540"


async def test_a_write_costs_five_points_of_nine_hundred_a_minute(twin: Twin) -> None:
    twin.clock.now += timedelta(hours=1)
    await allow(twin, points_a_minute=(12, 60))
    assert (await twin.call("PATCH /user", "ghp_operator", json={})).status_code == 200
    assert (await twin.call("PATCH /user", "ghp_operator", json={})).status_code == 200
    refused = await twin.call("PATCH /user", "ghp_operator", json={})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json()["message"].startswith("You have exceeded a secondary rate limit. Please wait")
    assert [(await twin.call("GET /user", "ghp_operator")).status_code for _ in range(3)] == [200, 200, 429]


async def test_no_more_than_so_many_at_once(twin: Twin) -> None:
    await allow(twin, at_once=(3, 3600))
    content = {"message": "m", "content": "eA=="}
    calls = [
        twin.call(f"PUT /repos/mk0r-apps/one/contents/{number}", "ghp_operator", json=content) for number in range(8)
    ]
    statuses = [answer.status_code for answer in await asyncio.gather(*calls)]
    assert statuses.count(429) >= 1
    assert set(statuses) <= {201, 409, 429}
    assert (await twin.call("GET /user", "ghp_operator")).status_code == 200


async def test_what_is_not_modified_costs_nothing(twin: Twin) -> None:
    first = await twin.call("GET /repos/mk0r-apps/one", "ghp_operator")

    async def again(**headers: str) -> Any:
        given = {
            "Authorization": "Bearer ghp_operator",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        return await twin.http.get("/repos/mk0r-apps/one", headers=given)

    for answer in (
        await again(if_none_match=first.headers["etag"]),
        await again(if_none_match=f'"other", {first.headers["etag"].removeprefix("W/")}'),
        await again(if_modified_since=first.headers["last-modified"]),
    ):
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert (await again(if_none_match='"other"')).status_code == 200


async def test_limits_can_be_switched_off(twin: Twin) -> None:
    await twin.http.put(
        "/_twin/limits", json={"enforced": False, "allowances": {"core": {"limit": 1, "seconds": 60}}}, headers=ADMIN
    )
    assert [(await twin.call("GET /user", "ghp_operator")).status_code for _ in range(3)] == [200] * 3
