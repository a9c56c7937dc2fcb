"""The E2B twin with the real template: the starter, its dev server and the browser."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from server.twins.e2b import tier
from tests.e2b_stage import LIVE, Stage

if TYPE_CHECKING:
    from e2b import AsyncSandbox

    from tests.conftest import Stack

pytestmark = pytest.mark.skipif(LIVE or tier.probe().name != "namespaces", reason="needs user namespaces")


async def page(stage: Stage, sandbox: AsyncSandbox, path: str = "/", seconds: float = 30) -> httpx.Response:
    """The first good answer; the dev server is not up yet when a sandbox is."""
    end = time.monotonic() + seconds
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            answer = await client.get(stage.base + path, headers={"host": sandbox.get_host(5173)})
            if answer.status_code == 200 or time.monotonic() > end:
                return answer
            await asyncio.sleep(0.02)


@pytest.mark.timeout(600)
async def test_the_starter_is_served_reloads_and_renders(stack: Stack) -> None:
    twin = stack.facts.twins["e2b"]
    stage = Stage(stack.home, twin.port, twin.admin.reveal(), twin.credential.reveal())
    sandbox = await stage.create()
    assert "/@vite/client" in (await page(stage, sandbox)).text
    assert await _hears_the_hot_reload(stage, sandbox)
    done = await sandbox.commands.run("git log --oneline | wc -l; npm --version && npx tsc --noEmit", timeout=60)
    assert done.stdout.splitlines()[0] == "1"
    shown = await sandbox.commands.run(
        "node /opt/mk0r/browser/preview.mjs --url http://localhost:5173/ --out /tmp/shown.png", timeout=60
    )
    said = json.loads(shown.stdout.splitlines()[-1])
    assert said["status"] == 200
    assert bytes(await sandbox.files.read("/tmp/shown.png", format="bytes")).startswith(b"\x89PNG")
    await sandbox.kill()


async def _hears_the_hot_reload(stage: Stage, sandbox: AsyncSandbox) -> bool:
    """Vite's socket, through the preview, tells of a changed file."""
    import socket

    from websockets.asyncio.client import connect

    client = (await page(stage, sandbox, "/@vite/client")).text
    token = client.split('wsToken = "', 1)[1].split('"', 1)[0]
    await page(stage, sandbox, "/src/main.tsx")
    sock = socket.create_connection(("127.0.0.1", stage.port))
    sock.setblocking(False)
    url = f"ws://{sandbox.get_host(5173)}/?token={token}"
    origin = f"http://{sandbox.get_host(5173)}"
    async with connect(url, sock=sock, proxy=None, subprotocols=["vite-hmr"], origin=origin) as heard:  # pyright: ignore[reportArgumentType] - plain strings, as its documentation shows
        assert json.loads(await heard.recv())["type"] == "connected"
        await sandbox.commands.run("touch index.html && echo '<!-- -->' >> index.html")
        async with asyncio.timeout(10):
            async for message in heard:
                if json.loads(message)["type"] in ("full-reload", "update"):
                    return True
    return False
