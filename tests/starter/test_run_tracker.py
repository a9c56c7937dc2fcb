"""The run tracker, on top of the starter."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.starter.conftest import App

RUN = {"distanceKm": 8.2, "durationSeconds": 2652, "ranOn": datetime.now(UTC).date().isoformat(), "note": "River"}
CANARY = "postgresql://role:npg_canary7421@localhost:1/none"


def test_it_type_checks_builds_and_lets_no_secret_into_the_bundle(make_app: Callable[..., App]) -> None:
    app = make_app(example=True)
    checked = app.run("npm", "run", "check")
    assert checked.returncode == 0, checked.stdout

    built = app.run("npm", "run", "build", DATABASE_URL=CANARY, RESEND_API_KEY="re_canary7421")

    assert built.returncode == 0, built.stdout + built.stderr
    bundle = [path for path in (app.folder / "dist").rglob("*") if path.is_file()]
    assert bundle
    assert not [path for path in bundle if b"canary7421" in path.read_bytes()]


def test_its_migration_is_what_its_schema_says(make_app: Callable[..., App]) -> None:
    app = make_app(example=True)
    done = app.run("npm", "run", "db:generate")
    assert "No schema changes" in done.stdout


async def test_without_a_database_it_says_so_and_works_from_memory(make_app: Callable[..., App]) -> None:
    app = make_app(example=True)
    app.start("node", "dev.mjs")
    await app.serves()
    run = {"id": str(uuid.uuid4()), **RUN}

    for _ in range(2):  # saving twice saves once
        assert (await app.ask("POST", "/api/runs", json=run)).status_code == 201
    assert (await app.get("/api/runs")).json() == {"runs": [run], "kept": False}
    page = await asyncio.to_thread(app.preview)
    assert page["console_errors"] == []
    assert "No database is connected." in page["text"]
    assert "5:23 /km" in page["text"]

    for _ in range(2):
        assert (await app.ask("DELETE", f"/api/runs/{run['id']}")).status_code == 204
    assert (await app.get("/api/runs")).json()["runs"] == []


async def test_a_database_out_of_reach_is_an_error_state_and_not_an_empty_list(make_app: Callable[..., App]) -> None:
    app = make_app(example=True)
    app.write_env({"DATABASE_URL": CANARY})
    app.start("node", "dev.mjs")
    await app.serves()
    answer = await app.get("/api/runs")
    assert answer.status_code == 500
    assert "canary" not in answer.text
    page = await asyncio.to_thread(app.preview)
    assert "Your runs could not be loaded" in page["text"]
    assert "Your first run goes here" not in page["text"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "1"},
        {"distanceKm": 0},
        {"distanceKm": "8"},
        {"durationSeconds": 0},
        {"durationSeconds": 1.5},
        {"ranOn": "2026-02-30"},
        {"ranOn": "yesterday"},
        {"ranOn": (datetime.now(UTC).date() + timedelta(days=3)).isoformat()},
        {"note": "x" * 281},
        {"note": 5},
    ],
    ids=str,
)
async def test_a_run_that_cannot_be_is_refused_with_a_sentence(served: App, wrong: dict[str, object]) -> None:
    answer = await served.ask("POST", "/api/runs", json={"id": str(uuid.uuid4()), **RUN, **wrong})
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


async def test_a_body_that_is_no_json_is_refused(served: App) -> None:
    assert (await served.ask("POST", "/api/runs", content="{")).status_code == 400


@pytest.fixture
async def served(make_app: Callable[..., App]) -> App:
    app = make_app(example=True)
    app.start("node", "dev.mjs")
    await app.serves()
    return app
