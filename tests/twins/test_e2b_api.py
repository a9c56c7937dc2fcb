"""What only the twin's own side shows: its limits, what its network lets out, its state as a whole, its view."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b import AsyncSandbox, AsyncTemplate, SandboxState
from e2b.exceptions import RateLimitException, SandboxException
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from server.twins.core.serve import bind, serving
from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import KEY, LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

pytestmark = pytest.mark.skipif(
    LIVE or tier.probe().name != "namespaces", reason="looks behind the twin, which needs user namespaces"
)


async def _say(_request: Request) -> Response:
    return Response("the service")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    sockets = bind()
    async with (
        serving(Starlette(routes=[Route("/", _say)]), sockets) as port,
        staged(home, services={"mail": port}) as stage,
    ):
        stage.service = port
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


# The network


async def ask(sandbox: AsyncSandbox, url: str, *, proxied: bool = True) -> str:
    """The status a request out of the sandbox gets from its way out; `000` for none."""
    how = "" if proxied else "--noproxy '*'"
    command = f"curl -s -o /dev/null -m 20 {how} -w '%{{http_code}} %{{http_connect}}' {url} || true"
    code, _, connect = (await sandbox.commands.run(command)).stdout.partition(" ")
    return connect if url.startswith("https") else code


async def test_what_may_be_reached_changes_at_once(stage: Stage, sandbox: AsyncSandbox) -> None:
    local = f"http://127.0.0.1:{stage.service}"
    assert await ask(sandbox, "https://nowhere.example") == "403"
    assert await ask(sandbox, local, proxied=False) == "200"
    await sandbox.update_network({"allow_out": ["nowhere.example", "*.nowhere.test"], "deny_out": ["0.0.0.0/0"]})
    assert await ask(sandbox, "https://nowhere.example") == "502"  # admitted, and not there
    assert await ask(sandbox, "https://deep.nowhere.test") == "502"
    assert await ask(sandbox, "https://elsewhere.example") == "403"
    assert await ask(sandbox, "https://registry.npmjs.org") == "403"
    assert await ask(sandbox, local, proxied=False) == "000"
    await sandbox.update_network({"allow_internet_access": True})
    assert await ask(sandbox, "https://elsewhere.example") == "502"
    assert await ask(sandbox, "http://127.0.0.2:1") == "502"  # nothing of this machine, though all is open
    await sandbox.update_network({})
    assert await ask(sandbox, "https://nowhere.example") == "403"
    assert await ask(sandbox, local, proxied=False) == "200"


async def test_a_sandbox_without_the_internet_reaches_nothing(stage: Stage) -> None:
    closed = await stage.create(allow_internet_access=False)
    assert (await closed.get_info()).allow_internet_access is False
    assert await ask(closed, "https://registry.npmjs.org") == "403"
    assert await ask(closed, f"http://127.0.0.1:{stage.service}", proxied=False) == "000"
    await closed.kill()


# Files


async def test_a_reader_never_sees_an_overwritten_file_empty(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/watched.txt", "x" * 2000)
    reader = await sandbox.commands.run(
        "while [ ! -e /tmp/enough ]; do [ -s /app/watched.txt ] || echo empty; done; echo over",
        background=True,
        timeout=60,
    )
    for number in range(150):
        await sandbox.files.write("/app/watched.txt", str(number % 10) * (1000 + number))
    await sandbox.files.write("/tmp/enough", "")
    assert (await reader.wait()).stdout == "over\n"
    assert await sandbox.files.read("/app/watched.txt") == "9" * 1149


async def test_files_are_put_together(stage: Stage, api: httpx.AsyncClient, sandbox: AsyncSandbox) -> None:
    token = (await api.get(f"/sandboxes/{sandbox.sandbox_id}")).json()["envdAccessToken"]
    for number in range(3):
        await sandbox.files.write(f"/tmp/part{number}", f"part {number}\n")
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token}
    body = {"source_paths": [f"/tmp/part{number}" for number in range(3)], "destination": "/tmp/whole"}
    made = await api.post("/files/compose", headers=headers, json=body)
    assert made.json() == {"name": "whole", "type": "file", "path": "/tmp/whole"}
    assert await sandbox.files.read("/tmp/whole") == "part 0\npart 1\npart 2\n"
    assert not await sandbox.files.exists("/tmp/part0")


async def test_a_listener_that_does_not_listen_holds_the_command_up(
    stage: Stage, api: httpx.AsyncClient, sandbox: AsyncSandbox
) -> None:
    token = (await api.get(f"/sandboxes/{sandbox.sandbox_id}")).json()["envdAccessToken"]
    command = "head -c 300000000 /dev/zero; touch /tmp/flooded"
    body = json.dumps({"process": {"cmd": "/bin/bash", "args": ["-c", command]}, "stdin": False}).encode()
    headers = {
        "E2b-Sandbox-Id": sandbox.sandbox_id,
        "X-Access-Token": token,
        "content-type": "application/connect+json",
        "connect-protocol-version": "1",
    }
    envelope = b"\0" + len(body).to_bytes(4, "big") + body
    async with api.stream("POST", "/process.Process/Start", headers=headers, content=envelope) as stream:
        chunks = stream.aiter_raw(1000)
        await anext(chunks)

        async def written() -> int:
            return int((await sandbox.commands.run("awk '/wchar/ { print $2 }' /proc/$(pgrep -x head)/io")).stdout)

        async def stands_still() -> bool:
            return await written() == await written() == await written()

        await e2b_stage.eventually(stands_still)
        assert await written() < 30_000_000
    # Gone is the listener, and nothing holds it up any more.
    await e2b_stage.eventually(lambda: sandbox.files.exists("/tmp/flooded"))


# The whole state


async def test_the_state_is_put_aside_brought_back_and_emptied(stage: Stage, api: httpx.AsyncClient) -> None:
    template = AsyncTemplate().from_template("mk0r").run_cmd("echo built > /root/built")
    await AsyncTemplate.build(template, "kept-template", **stage.api)
    running, asleep = await stage.create("kept-template"), await stage.create(metadata={"app": "asleep"})
    await running.files.write("/app/note.txt", "then")
    await running.files.write("/tmp/note.txt", "in memory")
    await asleep.pause()
    assert (await stage.admin_call("POST", "snapshots", {"name": "then"})).status_code == 201
    await running.files.write("/app/note.txt", "later")
    newer = await stage.create()
    assert (await stage.admin_call("POST", "reset")).status_code == 204
    assert (await api.get("/v2/sandboxes")).json() == []
    assert [each["templateID"] for each in (await api.get("/v2/templates")).json()] == ["mk0r"]
    assert (await stage.admin_call("POST", "snapshots/then/restore")).status_code == 204
    assert await running.files.read("/app/note.txt") == "then"
    assert await running.files.read("/root/built") == "built\n"
    assert await running.files.read("/tmp/note.txt") == "in memory"
    assert (await asleep.get_info()).state == SandboxState.PAUSED
    with pytest.raises(SandboxException):
        await newer.get_info()
    again = await stage.create("kept-template")
    assert await again.files.read("/root/built") == "built\n"
    await stage.admin_call("DELETE", "snapshots/then")
    await stage.admin_call("POST", "reset")


# The view


async def test_a_person_sees_sandboxes_processes_logs_and_files(stage: Stage, sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("echo said by a command")
    await sandbox.files.write("/app/.env", "SECRET='hidden'\n")
    sleeper = await sandbox.commands.run("sleep 4242", background=True, timeout=0)

    async def seen(at: str) -> str:
        return (await stage.admin_call("GET", f"view?at={at}")).text

    assert f"sandbox/{sandbox.sandbox_id}" in await seen("")
    async with asyncio.timeout(10):
        while "sleep 4242" not in (page := await seen(f"sandbox/{sandbox.sandbox_id}")):  # noqa: ASYNC110 - its shell comes first
            await asyncio.sleep(0.02)
    for text in ("sleep 4242", "app=mine", "said by a command", "the package registry", "MiB", "node dev.mjs"):
        assert text in page, text
    assert "dev.mjs" in await seen(f"files/{sandbox.sandbox_id}/app")
    assert "createServer" in await seen(f"files/{sandbox.sandbox_id}/app/dev.mjs")
    assert "hidden" not in await seen(f"files/{sandbox.sandbox_id}/app/.env")
    assert "mk0r" in await seen("template/mk0r")
    assert (await stage.admin_call("GET", "view?at=sandbox/nobody")).status_code == 404
    await sleeper.kill()
