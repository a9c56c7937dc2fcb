"""The running app in development: what .env says is what it has, and nobody sees what is not theirs."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import httpx
import psutil
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.starter.conftest import App

TELLS_ITS_ENVIRONMENT = """
import { Hono } from 'hono'
const app = new Hono().basePath('/api')
app.get('/health', (c) => c.json({ ok: true }))
app.get('/env', (c) => c.json({ one: process.env.ONE ?? null, two: process.env.TWO ?? null }))
export default app
"""
BREAKS = """
import { Hono } from 'hono'
import app from './whole'
app.get('/broken', () => { throw new Error(`no luck with ${process.env.DATABASE_URL}`) })
export default app
"""
SECRET = "postgresql://someone:canary-7421@localhost:1/none"


async def test_values_added_changed_and_removed_in_env_reach_the_app(make_app: Callable[..., App]) -> None:
    app = make_app({"server/app.ts": TELLS_ITS_ENVIRONMENT})
    app.start("node", "dev.mjs")
    await app.serves()
    assert (await app.get("/api/env")).json() == {"one": None, "two": None}

    app.write_env({"ONE": "first"})
    await _sees(app, {"one": "first", "two": None})
    app.write_env({"ONE": "second", "TWO": "2"})
    await _sees(app, {"one": "second", "two": "2"})
    app.write_env({"TWO": "2"})
    await _sees(app, {"one": None, "two": "2"})
    (app.folder / ".env").unlink()
    await _sees(app, {"one": None, "two": None})

    said = (app.folder / "test.log").read_text().splitlines()
    assert [line for line in said if "changed" in line] == [
        "[dev] .env changed (ONE)",
        "[dev] .env changed (ONE, TWO)",
        "[dev] .env changed (ONE)",
        "[dev] .env changed (TWO)",
    ]
    assert "second" not in "\n".join(said)


async def test_a_rewritten_env_that_says_the_same_restarts_nothing(make_app: Callable[..., App]) -> None:
    app = make_app({"server/app.ts": TELLS_ITS_ENVIRONMENT})
    app.write_env({"ONE": "first"})
    supervisor = psutil.Process(app.start("node", "dev.mjs").pid)
    await app.serves()
    (vite,) = supervisor.children()

    app.write_env({"ONE": "first"})
    app.write_env({"ONE": "first", "TWO": "2"})
    await _sees(app, {"one": "first", "two": "2"})

    assert not vite.is_running()
    assert (app.folder / "test.log").read_text().count("restarted") == 1


async def test_the_dev_server_ends_with_its_supervisor_however_that_ends(make_app: Callable[..., App]) -> None:
    for way in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        app = make_app()
        supervisor = app.start("node", "dev.mjs")
        await app.serves()
        os.kill(supervisor.pid, way)
        supervisor.wait(10)
        await app.until(lambda app=app: _refuses(app), f"the port is free after {way.name}")


async def test_a_dev_server_that_dies_is_started_again(make_app: Callable[..., App]) -> None:
    app = make_app()
    supervisor = psutil.Process(app.start("node", "dev.mjs").pid)
    await app.serves()
    (vite,) = supervisor.children()
    vite.kill()

    async def replaced() -> bool | None:
        return True if [child for child in supervisor.children() if child.pid != vite.pid] else None

    await app.until(replaced, "another dev server runs")
    await app.serves()


async def test_the_browser_gets_no_server_file_and_strangers_get_nothing(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.write_env({"DATABASE_URL": SECRET})
    app.start("node", "dev.mjs")
    await app.serves()

    for path in ("/.env", "/.env?raw", "/.env?import&raw", f"/@fs{app.folder}/.env", "/.git/config"):
        answer = await app.get(path)
        assert "canary" not in answer.text
        assert answer.status_code in {403, 404}, path
    for path in ("/server/db.ts", "/server/db.ts?raw", f"/@fs{app.folder}/server/mail.ts"):
        assert (await app.get(path)).status_code == 403, path
    assert (await app.get("/", host="evil.example")).status_code == 403
    assert (await app.get("/api/health", host="evil.example")).status_code == 403
    assert (await app.get("/", host="5173-i8sd2k.localhost:49000")).status_code == 200
    assert (await app.get("/", host="5173-i8sd2k.e2b.app")).status_code == 200


async def test_a_preview_host_can_be_named(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.start("node", "dev.mjs", MK0R_PREVIEW_HOST="preview.example")
    await app.serves()
    assert (await app.get("/", host="preview.example")).status_code == 200


async def test_hot_reload_works_through_a_proxy_under_another_name(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.start("node", "dev.mjs")
    await app.serves()
    host = "5173-i8sd2k.localhost:49000"
    client = (await app.get("/@vite/client", host=host)).text
    token = re.search(r'wsToken = "([\w-]+)"', client)
    assert token
    assert not re.search(
        rf'"(127\.0\.0\.1|localhost)?:?{app.port}"', client.split("wsToken")[0].split("importMetaUrl")[-1]
    )

    async with connect(
        f"ws://127.0.0.1:{app.port}/?token={token[1]}",
        subprotocols=["vite-hmr"],  # pyright: ignore[reportArgumentType] - a NewType of str
        additional_headers={"Host": host},
        origin=f"http://{host}",  # pyright: ignore[reportArgumentType] - a NewType of str
        proxy=None,
    ) as socket:
        assert json.loads(await socket.recv()) == {"type": "connected"}
        app.write({"src/App.tsx": "export default function App() { return <p>changed</p> }\n"})
        await app.get("/src/App.tsx")
        assert json.loads(await socket.recv())["type"] in {"update", "full-reload", "custom"}


async def test_an_error_page_tells_the_visitor_nothing_of_the_environment(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.write({"server/whole.ts": (app.folder / "server" / "app.ts").read_text(), "server/app.ts": BREAKS})
    app.write_env({"DATABASE_URL": SECRET})
    app.start("node", "dev.mjs")
    await app.serves()

    answer = await app.get("/api/broken")

    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert "canary" not in answer.text

    async def logged() -> bool | None:
        return True if "no luck" in (app.folder / "node_modules" / ".cache" / "dev.log").read_text() else None

    await app.until(logged, "the log has the story")


async def _sees(app: App, expected: dict[str, str | None]) -> None:
    async def asked() -> bool | None:
        try:
            answer = await app.get("/api/env")
        except httpx.TransportError:
            return None
        return True if answer.is_success and answer.json() == expected else None

    await app.until(asked, f"the app has {expected}")


async def _refuses(app: App) -> bool | None:
    try:
        await app.get("/api/health")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return None
    return None
