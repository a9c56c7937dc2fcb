"""The starter runs with any subset of its services, in development and in production."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from tests.starter.conftest import App

DATABASE = {"DATABASE_URL": "postgresql://role:npg_canary@localhost:1/none"}
MAIL = {"RESEND_API_KEY": "re_canary", "RESEND_FROM": "App <app@example.com>", "RESEND_AUDIENCE_ID": "seg-1"}
ANALYTICS = {
    "VITE_POSTHOG_KEY": "phc_public",
    "VITE_POSTHOG_HOST": "http://localhost:1",
    "VITE_POSTHOG_APP_ID": "mk0r-aaaaaaaaaaaa",
}
GIT = {"GITHUB_REPO": "someone/mk0r-aaaaaaaaaaaa", "GITHUB_REPO_URL": "https://example.com/someone/app"}
RELAY = {"MK0R_CONTACTS_URL": "http://localhost:1/contacts", "MK0R_CONTACTS_TOKEN": "token-canary"}
JOBS = {"MK0R_JOBS_TOKEN": "jobs-canary"}
ALL = DATABASE | MAIL | ANALYTICS | GIT | RELAY | JOBS

USES_EVERYTHING = """
import { Hono } from 'hono'
import { track } from './analytics'
import { addContact } from './contacts'
import { db } from './db'
import { sendMail } from './mail'
import app from './whole'
app.post('/use', async (c) => {
  track('someone', 'used')
  const mail = await sendMail({ to: 'a@example.com', subject: 'Hello', html: '<p>Hello</p>' }, 'once-1')
  const contact = db ? null : await addContact({ email: 'a@example.com', firstName: 'Ada' })
  return c.json({ db: db !== null, mail, contact })
})
export default app
"""
ONE_JOB = """
import { appendFileSync } from 'node:fs'
export type Job = { name: string; schedule: string; run: () => Promise<void> }
export const jobs: Job[] = [
  { name: 'count', schedule: '0 18 * * 0', run: async () => appendFileSync('ran', 'x') },
]
"""


@pytest.mark.parametrize(
    ("env", "live"),
    [
        ({}, []),
        (DATABASE, ["database"]),
        (MAIL, ["mail"]),
        (ANALYTICS, ["analytics"]),
        (GIT, ["git"]),
        (ALL, ["database", "mail", "analytics", "git"]),
    ],
    ids=["none", "database", "mail", "analytics", "git", "all"],
)
async def test_the_skeleton_shows_which_services_are_live(
    make_app: Callable[..., App], env: dict[str, str], live: list[str]
) -> None:
    app = make_app()
    app.write_env(env)
    app.start("node", "dev.mjs")
    health = await app.serves()
    assert [name for name, on in health.json()["services"].items() if on] == live
    assert "canary" not in health.text

    page = await asyncio.to_thread(app.preview)

    assert page["exit"] == 0
    assert page["status"] == 200
    assert page["console_errors"] == []
    assert page["text"].count("Waiting") == 4 - len(live)
    assert page["png"].read_bytes().startswith(b"\x89PNG")


async def test_without_services_every_use_is_an_answer_and_not_a_crash(make_app: Callable[..., App]) -> None:
    app = _using_everything(make_app)
    app.start("node", "dev.mjs")
    await app.serves()

    answer = await app.ask("POST", "/api/use")

    assert answer.json() == {
        "db": False,
        "mail": {"sent": False, "reason": "Mail is not set up for this app."},
        "contact": {"stored": False, "listed": False},
    }


async def test_mail_and_contacts_go_where_the_environment_says(make_app: Callable[..., App]) -> None:
    app = _using_everything(make_app)
    async with _listening() as (base, seen):
        app.write_env(MAIL | RELAY | {"RESEND_BASE_URL": base, "MK0R_CONTACTS_URL": f"{base}/relay"})
        app.start("node", "dev.mjs")
        await app.serves()
        answer = (await app.ask("POST", "/api/use")).json()
        assert answer == {
            "db": False,
            "mail": {"sent": True, "id": "made"},
            "contact": {"stored": False, "listed": True},
        }
        mail, contact = seen
        assert (mail["path"], mail["authorization"]) == ("/emails", "Bearer re_canary")
        assert mail["once"] == "once-1"
        assert mail["body"]["from"] == MAIL["RESEND_FROM"]
        assert (contact["path"], contact["authorization"]) == ("/relay", "Bearer token-canary")
        assert contact["body"] == {"email": "a@example.com", "first_name": "Ada"}


async def test_away_from_the_relay_contacts_go_to_resend_with_the_owners_key(make_app: Callable[..., App]) -> None:
    app = _using_everything(make_app)
    async with _listening() as (base, seen):
        app.write_env(MAIL | {"RESEND_BASE_URL": base})
        app.start("node", "dev.mjs")
        await app.serves()
        assert (await app.ask("POST", "/api/use")).json()["contact"] == {"stored": False, "listed": True}
        contact = seen[-1]
        assert (contact["path"], contact["authorization"]) == ("/contacts", "Bearer re_canary")
        assert contact["body"] == {"email": "a@example.com", "first_name": "Ada", "segments": [{"id": "seg-1"}]}


async def test_production_serves_the_pages_the_api_and_nothing_secret(make_app: Callable[..., App]) -> None:
    app = make_app()
    built = app.run("npm", "run", "build", **ALL)
    assert built.returncode == 0, built.stdout + built.stderr
    everything = b"".join(path.read_bytes() for path in (app.folder / "dist").rglob("*") if path.is_file())
    assert b"canary" not in everything
    assert b"phc_public" in everything

    app.write_env(ALL)
    app.start("npm", "start")
    await app.serves()

    assert "<title>Your app</title>" in (await app.get("/some/deep/link")).text
    assert (await app.get("/api/nothing")).json() == {"error": "There is nothing here."}
    assert (await app.get("/.env")).text.count("canary") == 0
    page = await asyncio.to_thread(app.preview)
    assert page["console_errors"] == []
    assert "Your app is being built" in page["text"]


async def test_a_job_runs_for_the_holder_of_the_apps_token_only(make_app: Callable[..., App]) -> None:
    app = make_app({"server/jobs.ts": ONE_JOB})
    app.write_env(RELAY | JOBS)
    app.start("node", "dev.mjs")
    await app.serves()
    assert (await app.get("/api/jobs")).json() == {"jobs": [{"name": "count", "schedule": "0 18 * * 0"}]}

    contacts = {"authorization": f"Bearer {RELAY['MK0R_CONTACTS_TOKEN']}"}
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": ""}, contacts):
        assert (await app.ask("POST", "/api/jobs/count", headers=headers)).status_code == 401
    right = {"authorization": f"Bearer {JOBS['MK0R_JOBS_TOKEN']}"}
    assert (await app.ask("POST", "/api/jobs/other", headers=right)).status_code == 404
    assert not (app.folder / "ran").exists()
    assert (await app.ask("POST", "/api/jobs/count", headers=right)).json() == {"ran": "count"}
    assert (app.folder / "ran").read_text() == "x"


def test_schedules_mean_what_cron_says(make_app: Callable[..., App]) -> None:
    app = make_app()
    cases = [
        ("0 18 * * 0", "2026-11-22T18:00:30Z", True),  # a Sunday
        ("0 18 * * 7", "2026-11-22T18:00:00Z", True),
        ("0 18 * * 0", "2026-11-23T18:00:00Z", False),
        ("*/15 * * * *", "2026-11-23T09:45:00Z", True),
        ("*/15 * * * *", "2026-11-23T09:46:00Z", False),
        ("5/20 * * * *", "2026-11-23T09:45:00Z", True),
        ("0 9-17/4 * * 1-5", "2026-11-23T13:00:00Z", True),
        ("0 9-17/4 * * 1-5", "2026-11-23T14:00:00Z", False),
        ("0 0 1,15 * *", "2026-12-15T00:00:00Z", True),
        ("0 0 13 * 5", "2026-11-27T00:00:00Z", True),  # either day will do
        ("0 0 13 * 5", "2026-11-26T00:00:00Z", False),
    ]
    asked = json.dumps([case[:2] for case in cases])
    script = (
        "const { due } = await import('./server/schedule.ts');"
        f"console.log(JSON.stringify({asked}.map(([schedule, at]) => due(schedule, new Date(at)))))"
    )
    done = app.run("node", "--input-type=module", "-e", script)
    assert json.loads(done.stdout) == [case[2] for case in cases], done.stderr

    for wrong in ("* * * *", "61 * * * *", "x * * * *", "*/0 * * * *"):
        script = f"(await import('./server/schedule.ts')).due({wrong!r}, new Date())"
        assert app.run("node", "--input-type=module", "-e", script).returncode == 1


def test_the_preview_tells_a_page_that_cannot_be_opened(make_app: Callable[..., App]) -> None:
    page = make_app().preview()
    assert page["exit"] == 1
    assert "ERR_CONNECTION_REFUSED" in page["error"]


async def test_the_preview_reports_what_the_page_complains_about(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.write({
        "src/App.tsx": """
import { useEffect } from 'react'
export default function App() {
  useEffect(() => {
    console.error('a complaint')
    void fetch('/api/missing')
    setTimeout(() => { throw new TypeError('a surprise') })
  }, [])
  return <h1>here</h1>
}
"""
    })  # fmt: skip
    app.start("node", "dev.mjs")
    await app.serves()
    page = await asyncio.to_thread(app.preview, "/", "--wait-ms", "500")
    assert page["text"] == "here"
    errors = "\n".join(page["console_errors"])
    assert "a complaint" in errors
    assert "Uncaught TypeError: a surprise" in errors
    assert "404" in errors
    assert "/api/missing" in errors
    assert "favicon" not in errors


def _using_everything(make_app: Callable[..., App]) -> App:
    app = make_app()
    app.write({"server/whole.ts": (app.folder / "server" / "app.ts").read_text(), "server/app.ts": USES_EVERYTHING})
    return app


class _listening:  # noqa: N801 - reads as a statement where it is used
    """A small server that accepts everything and remembers it."""

    async def __aenter__(self) -> tuple[str, list[dict[str, Any]]]:
        import uvicorn

        seen: list[dict[str, Any]] = []

        async def accept(request: Request) -> JSONResponse:
            headers = request.headers
            seen.append({
                "path": request.url.path,
                "authorization": headers.get("authorization"),
                "once": headers.get("idempotency-key"),
                "body": await request.json(),
            })  # fmt: skip
            return JSONResponse({"id": "made", "object": "contact"}, 201)

        app = Starlette(routes=[Route("/{rest:path}", accept, methods=["POST"])])
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
        self._task = asyncio.create_task(self._server.serve())
        async with asyncio.timeout(10):
            while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}", seen

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._task
