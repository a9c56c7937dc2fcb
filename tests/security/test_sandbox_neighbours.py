"""What one sandbox cannot do to another, or to the twin that keeps both."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from server.twins.e2b import tier
from tests.e2b_stage import attempt

if TYPE_CHECKING:
    from e2b import AsyncSandbox

    from tests.e2b_stage import Stage

pytestmark = pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine")


async def test_one_session_sees_nothing_of_another(stage: Stage, sandbox: AsyncSandbox) -> None:
    other = await stage.create()
    await other.files.write("/app/.env", "SECRET='other'\n")
    await other.commands.run("exec -a betrayer sleep 1000", background=True)
    await other.commands.run("python3 -m http.server 8765 --bind 127.0.0.1 >/dev/null 2>&1", background=True)
    _, seen = await attempt(sandbox, "ls /proc | grep -c '^[0-9]'; cat /proc/*/cmdline | tr '\\0' ' '")
    assert "betrayer" not in seen
    assert (await attempt(sandbox, "cat /app/.env"))[0] != 0
    assert (await attempt(sandbox, "curl -s --noproxy '*' --max-time 2 http://127.0.0.1:8765/"))[0] != 0
    token = other.connection_config.sandbox_headers.get("X-Access-Token", "")
    async with httpx.AsyncClient(trust_env=False, base_url=stage.base) as client:
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token}
        assert (await client.get("/files?path=/app/dev.mjs", headers=headers)).status_code == 401
    await other.kill()


async def test_a_sandbox_that_stops_whatever_is_born_in_it_stops_nobody_else(
    stage: Stage, sandbox: AsyncSandbox
) -> None:
    await sandbox.commands.run(
        "me=$$; while :; do for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p -gt $me ] && kill -STOP $p; done; done 2>&1",
        background=True,
        timeout=0,
    )
    stuck = asyncio.create_task(attempt(sandbox, "true", seconds=1))
    other = await stage.create()
    assert await attempt(other, "echo fine") == (0, "fine\n")
    assert "createServer" in await sandbox.files.read("/app/dev.mjs")
    await asyncio.gather(stuck, return_exceptions=True)
    await other.kill()


async def test_no_file_grows_beyond_its_limit_and_no_core_is_left(sandbox: AsyncSandbox) -> None:
    code, _ = await attempt(sandbox, "truncate -s 3G /app/big")
    assert code != 0
    assert (await attempt(sandbox, "ulimit -c; ulimit -Hc"))[1] == "0\n0\n"


async def test_output_nobody_reads_does_not_fill_the_twins_memory(stage: Stage, sandbox: AsyncSandbox) -> None:
    body = b'{"process":{"cmd":"/bin/cat","args":["/dev/zero"]},"stdin":false}'
    headers = {
        **sandbox.connection_config.sandbox_headers,
        "E2b-Sandbox-Id": sandbox.sandbox_id,
        "Content-Type": "application/connect+json",
        "Connect-Protocol-Version": "1",
    }
    before = psutil.Process().memory_info().rss
    async with httpx.AsyncClient(trust_env=False, base_url=stage.base) as client:
        content = b"\0" + len(body).to_bytes(4, "big") + body
        async with client.stream("POST", "/process.Process/Start", headers=headers, content=content) as answer:
            assert answer.status_code == 200
            end = time.monotonic() + 2
            while time.monotonic() < end:  # the flood runs, and we let it
                assert psutil.Process().memory_info().rss - before < 60_000_000
                await asyncio.sleep(0.1)
