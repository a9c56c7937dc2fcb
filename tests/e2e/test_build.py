"""The main job, as a person does it: one command, an idea in, a running app with a live backend out.

Runs once in each tier of the sandbox, in a home of its own, and looks at everything the command promised.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from server.local.home import Home
from tests.prepared import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MK0R = [str(Path(sys.executable).parent / "mk0r")]
IDEA = "a run tracker that saves my runs"
TIERS = {"namespaces": {}, "weak": {"MK0R_WEAK_SANDBOX": "1"}}


@dataclass(frozen=True)
class Cli:
    """The command, in a home of its own."""

    environ: dict[str, str]

    def __call__(self, *args: str, code: int = 0) -> str:
        ran = subprocess.run([*MK0R, *args], env=self.environ, capture_output=True, text=True, timeout=110, check=False)
        assert ran.returncode == code, (args, ran.returncode, ran.stdout[-2000:], ran.stderr[-2000:])
        return ran.stdout or ran.stderr

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self(*args, "--json", code=code).strip().splitlines()[-1])


@pytest.fixture(scope="module", params=TIERS)
def cli(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]
) -> Iterator[Cli]:
    home = tmp_path_factory.mktemp(f"home-{request.param}")
    environ = {**os.environ, "HOME": str(home), "MK0R_HOME": str(home / ".mk0r"), **TIERS[request.param]}
    command = Cli(environ)
    give_template(Home(home / ".mk0r"))
    yield command
    command("down")
    remove(Home(home / ".mk0r"))


@pytest.fixture(scope="module")
def built(cli: Cli) -> dict[str, Any]:
    return cli.json("build", IDEA)


def save_a_run(preview: str, note: str) -> None:
    run = {"id": str(uuid4()), "distanceKm": 5.2, "durationSeconds": 1620, "ranOn": "2026-11-20", "note": note}
    saved = httpx.post(f"{preview}/api/runs", json=run, timeout=20)
    assert saved.status_code == 201, saved.text


def door(cli: Cli, slug: str) -> str:
    """The plain door of the preview: a host name that every resolver knows."""
    return cli.json("show", slug)["local_preview_url"]


@pytest.mark.timeout(180)
def test_an_idea_becomes_a_running_app_with_a_live_backend(built: dict[str, Any]) -> None:
    assert built["session_key"].startswith("mk0rk_")
    assert built["app_id"] == f"mk0r-{built['slug']}"
    assert built["model"] == "rehearsal"
    assert built["psql"] == f"mk0r psql {built['slug']}"
    assert {leg["name"]: leg["outcome"] for leg in built["legs"]} == dict.fromkeys(
        ["database", "mail", "analytics", "git", "vm"], "made"
    )
    assert {"DATABASE_URL", "RESEND_API_KEY", "VITE_POSTHOG_APP_ID", "GITHUB_REPO"} <= set(built["env_names"])
    assert built["outcome"] == "done", built


def test_the_doctor_says_which_tier_this_is(cli: Cli) -> None:
    says = next(check["says"] for check in cli.json("doctor")["checks"] if check["name"] == "sandboxes")
    assert ("weaker isolation" in says) == ("MK0R_WEAK_SANDBOX" in cli.environ)


def test_a_run_saved_in_the_app_is_a_row_that_survives_everything(cli: Cli, built: dict[str, Any]) -> None:
    slug = built["slug"]
    preview = door(cli, slug)
    save_a_run(preview, "along the canal")

    def rows() -> str:
        return cli("psql", slug, "-Atc", "select note from runs").strip()

    assert rows() == "along the canal"
    assert "along the canal" in httpx.get(f"{preview}/api/runs", timeout=20).text
    cli("down")
    cli("resume", slug)
    assert rows() == "along the canal"
    assert "along the canal" in httpx.get(f"{door(cli, slug)}/api/runs", timeout=20).text


def test_another_turn_changes_the_same_app(cli: Cli, built: dict[str, Any]) -> None:
    end = cli.json("build", "add a weekly goal", "--session", built["slug"])
    assert (end["outcome"], end["slug"], end["preview_url"]) == ("done", built["slug"], built["preview_url"])


def test_the_repository_holds_the_project_and_no_env(cli: Cli, built: dict[str, Any], tmp_path: Path) -> None:
    twins = cli.json("twins")
    token = twins["github"]["env"]["GITHUB_TOKEN"]
    url = built["repository_url"].replace("://", f"://x-access-token:{token}@")
    subprocess.run(["git", "clone", "-q", f"{url}.git", str(tmp_path / "clone")], check=True, timeout=30)
    files = {path.name for path in (tmp_path / "clone").iterdir()}
    assert {"package.json", "src", "server", "drizzle"} <= files
    assert ".env" not in files
    log = subprocess.check_output(["git", "log", "--format=%s"], cwd=tmp_path / "clone", text=True)
    assert IDEA in log


def test_two_builds_at_once_have_each_their_own_everything(cli: Cli, built: dict[str, Any]) -> None:
    started = [
        subprocess.Popen([*MK0R, "build", IDEA, "--json"], env=cli.environ, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [json.loads(process.communicate(timeout=110)[0].strip().splitlines()[-1]) for process in started]
    for field in ("slug", "session_key", "preview_url", "repository_url"):
        assert len({end[field] for end in [*ends, built]}) == 3
    assert [end["outcome"] for end in ends] == ["done", "done"]
    for end in ends:
        save_a_run(door(cli, end["slug"]), "short")
        assert cli("psql", end["slug"], "-Atc", "select count(*) from runs").strip() == "1"
        cli("destroy", end["slug"])


def test_a_build_without_a_service_ends_with_a_preview_and_says_what_is_missing(cli: Cli) -> None:
    end = cli.json("build", IDEA, "--services", "analytics,git")
    assert not {"DATABASE_URL", "RESEND_API_KEY"} & set(end["env_names"])
    assert httpx.get(door(cli, end["slug"]), timeout=20).status_code == 200
    cli("destroy", end["slug"])


def test_an_idea_without_a_script_is_answered_honestly(cli: Cli) -> None:
    end = cli.json("build", "a chess engine with an opening book", code=1)
    assert end["preview_url"]
    said = cli("logs", end["slug"])
    assert "rehearsal" in said
    assert "ANTHROPIC_API_KEY" in said
    cli("destroy", end["slug"])


@pytest.mark.parametrize("idea", ["", "   ", "x" * 100_000])
def test_a_bad_idea_is_one_sentence_and_makes_nothing(cli: Cli, idea: str) -> None:
    before = cli.json("sessions")
    said = cli("build", idea, code=2)
    assert 0 < len(said.strip().splitlines()) <= 2
    assert "Traceback" not in said
    assert cli.json("sessions") == before


def test_an_unknown_session_is_one_sentence(cli: Cli) -> None:
    for command in ("show", "env", "resume", "destroy", "psql"):
        said = cli(command, "aaaaaaaaaaaa", code=1)
        assert "aaaaaaaaaaaa" in said
        assert "Traceback" not in said
