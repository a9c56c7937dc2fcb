"""Whom the E2B twin's API serves and what it refuses: a key used twice, bad requests, others' tokens, too much."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b.exceptions import RateLimitException, SandboxException

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import KEY, LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from e2b import AsyncSandbox

pytestmark = pytest.mark.skipif(
    LIVE or tier.probe().name != "namespaces", reason="looks behind the twin, which needs user namespaces"
)


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    async with staged(home) as stage:
        await stage.admin_call("PUT", "limits", {"enforced": False})
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create(metadata={"app": "mine"})
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stage.base, headers={"X-API-KEY": KEY}, trust_env=False, timeout=60) as api:
        yield api


# Idempotency


async def test_a_key_under_way_says_so_and_then_gives_its_sandbox(api: httpx.AsyncClient) -> None:
    asked = {"templateID": "mk0r", "timeout": 60}
    headers = {"Idempotency-Key": "under-way"}
    first, second = await asyncio.gather(
        api.post("/v2/sandboxes", json=asked, headers=headers), api.post("/v2/sandboxes", json=asked, headers=headers)
    )
    made, told = sorted((first, second), key=lambda answer: answer.status_code)
    assert (made.status_code, told.status_code) == (201, 409)
    assert told.json()["error_code"] == "idempotency_in_progress"
    assert (told.headers["should-retry"], told.headers["retry-after"]) == ("true", "1")
    again = await api.post("/v2/sandboxes", json=asked, headers=headers)
    assert (again.status_code, again.json()) == (201, made.json())
    other = await api.post("/v2/sandboxes", json={**asked, "timeout": 61}, headers=headers)
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_request_mismatch")
    bad = await api.post("/v2/sandboxes", json=asked, headers={"Idempotency-Key": "Not Allowed"})
    assert bad.status_code == 400
    await api.delete(f"/sandboxes/{made.json()['sandboxID']}")
    anew = await api.post("/v2/sandboxes", json={**asked, "timeout": 61}, headers=headers)
    assert anew.json()["sandboxID"] != made.json()["sandboxID"]
    await api.delete(f"/sandboxes/{anew.json()['sandboxID']}")


# What is wrong


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "templateID"),
    ({"templateID": "mk0r", "timeout": -1}, "timeout"),
    ({"templateID": "mk0r", "timeout": "60"}, "timeout"),
    ({"templateID": "mk0r", "timeout": 90_000}, "24 hours"),
    ({"templateID": "mk0r", "metadata": {"a": 1}}, "metadata"),
    ({"templateID": "mk0r", "network": {"rules": {"a.example": [{}]}}}, "rules are not available"),
    ({"templateID": "mk0r", "network": {"egressProxy": {"address": "a:1"}}}, "not available"),
    ({"templateID": "mk0r", "volumeMounts": [{"name": "a", "path": "/a"}]}, "not enabled"),
    ({"templateID": "mk0r", "autoPause": True, "autoPauseMemory": False, "autoResume": {"enabled": True}}, "auto"),
]


@pytest.mark.parametrize(("body", "said"), BAD)
async def test_a_bad_request_is_told_what_is_bad(api: httpx.AsyncClient, body: dict[str, Any], said: str) -> None:
    answer = await api.post("/v2/sandboxes", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert said in answer.json()["message"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "nextToken=%25", "state=asleep", "order=up", "startedAfter=soon"]
)
async def test_a_bad_question_is_refused(api: httpx.AsyncClient, query: str) -> None:
    assert (await api.get(f"/v2/sandboxes?{query}")).status_code == 400


async def test_keys_tokens_and_names_open_only_what_is_theirs(
    stage: Stage, api: httpx.AsyncClient, sandbox: AsyncSandbox
) -> None:
    other = await stage.create()
    tokens = {
        each.sandbox_id: (await api.get(f"/sandboxes/{each.sandbox_id}")).json()["envdAccessToken"]
        for each in (sandbox, other)
    }
    async with httpx.AsyncClient(base_url=stage.base, trust_env=False) as anybody:
        assert (await anybody.get("/v2/sandboxes")).status_code == 401
        assert (await anybody.get("/v2/sandboxes", headers={"X-API-KEY": "e2b_" + "1" * 40})).status_code == 401
        mixed = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": tokens[other.sandbox_id]}
        for path in ("/process.Process/List", "/filesystem.Filesystem/Stat"):
            refused = await anybody.post(path, headers=mixed, json={})
            assert (refused.status_code, refused.json()["code"]) == (401, 401)
        assert (await anybody.get("/files?path=/tmp", headers=mixed)).status_code == 401
        assert (await anybody.get("/metrics", headers=mixed)).status_code == 401
        right = {**mixed, "X-Access-Token": tokens[sandbox.sandbox_id]}
        assert (await anybody.get("/metrics", headers=right)).json()["mem_used"] > 0
        assert (await anybody.post("/init", headers=right, json={})).status_code == 404
        gone = await anybody.post("/process.Process/List", headers={**right, "E2b-Sandbox-Id": "nobody"}, json={})
        assert (gone.status_code, gone.json()["message"]) == (502, "The sandbox was not found")
    await other.kill()


async def test_version_one_makes_a_sandbox_that_asks_for_no_token(stage: Stage, api: httpx.AsyncClient) -> None:
    made = (await api.post("/sandboxes", json={"templateID": "mk0r", "timeout": 60})).json()
    assert "envdAccessToken" not in made
    headers = {"E2b-Sandbox-Id": made["sandboxID"]}
    async with httpx.AsyncClient(base_url=stage.base, headers=headers, trust_env=False) as anybody:
        assert (await anybody.post("/process.Process/List", json={})).status_code == 200
        assert (await anybody.get("/files?path=/app/dev.mjs")).status_code == 200
    network = {"allowPublicTraffic": False}
    assert (await api.post("/sandboxes", json={"templateID": "mk0r", "network": network})).status_code == 400
    await api.delete(f"/sandboxes/{made['sandboxID']}")


async def test_any_page_may_ask_for_a_file_it_has_the_address_of(stage: Stage, sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/tmp/shared.txt", "shared")
    url, origin = sandbox.download_url("/tmp/shared.txt"), {"origin": "https://app.example"}
    async with httpx.AsyncClient(trust_env=False) as browser:
        asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "x-access-token"}
        before = await browser.options(url, headers=asked)
        assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, "*")
        answer = await browser.get(url, headers=origin)
        assert (answer.text, answer.headers["access-control-allow-origin"]) == ("shared", "*")


# Limits


async def test_creations_and_sandboxes_are_limited_as_the_plan_says(tmp_path: Path) -> None:
    home = e2b_stage.make_home(tmp_path)
    async with staged(home, environ={"MK0R_E2B_PLAN": "hobby"}) as stage:
        first = await stage.create(retries=0)
        with pytest.raises(RateLimitException, match="creation rate"):
            await stage.create(retries=0)
        second = await stage.create()  # the SDK waits as it is told
        with pytest.raises(SandboxException, match="1 hours"):
            await stage.create(timeout=3601)
        named = "concurrent sandboxes"
        await stage.admin_call("PUT", "limits", {"allowances": {named: {"limit": 2, "seconds": 1}}})
        with pytest.raises(RateLimitException, match=r"concurrent E2B sandboxes \(2\)"):
            await stage.create(retries=0)
        await first.pause()
        await stage.admin_call("PUT", "limits", {"enforced": False})
        for each in (first, second, await stage.create(retries=0)):
            await each.kill()
    e2b_stage.unmake_home(home)
