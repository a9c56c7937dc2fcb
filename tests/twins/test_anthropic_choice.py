"""Which ideas find the run tracker, and whether its script fits the app it was written for."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.twins.anthropic.choose import nearest
from server.twins.anthropic.script import Script, Shelf, arguments

EXAMPLES = Path(__file__).parents[2] / "examples"
SHELF = Shelf(EXAMPLES).scripts()
FIRST = [script for script in SHELF.values() if not script.after]


@pytest.mark.parametrize(
    "idea",
    [
        "A run tracker that actually saves runs",
        "run tracker",
        "a running app",
        "Track my runs",
        "I want to log my runs and see my pace",
        "an app for my morning jog",
        "Jogging log with weekly distance",
        "Build me an app to save my runs",
        "something for runners to keep a history of their runs",
        "A run tracker: log distance and time after every run, see pace, weekly totals, dark theme with big buttons",
    ],
)
def test_an_idea_for_a_run_tracker_finds_it(idea: str) -> None:
    found = nearest(idea, FIRST)
    assert found is not None
    assert found.title == "Run tracker"


@pytest.mark.parametrize(
    "idea",
    [
        "a habit tracker",
        "expense tracker",
        "a blog to run my business",
        "A habit ring that emails the weekly summary",
        "time tracker for my freelance work",
        "sleep tracker with weekly history",
        "bike ride tracker with distance and pace",
        "run a pub quiz",
        "",
        "an app",
    ],
)
def test_another_idea_does_not(idea: str) -> None:
    found = nearest(idea, FIRST)
    assert found is None or found.title != "Run tracker"


@pytest.mark.parametrize(("file", "script"), SHELF.items(), ids=[script.title for script in SHELF.values()])
def test_a_script_names_only_what_its_app_has(file: Path, script: Script) -> None:
    for step in script.step:
        for call in step.call:
            arguments(call, file)
    assert not script.step[-1].call, "a script ends with words"


def test_the_first_script_of_an_example_leaves_its_whole_app_behind() -> None:
    for file, script in SHELF.items():
        if script.after:
            continue
        app = file.parents[1] / "app"
        written: dict[str, str] = {}
        for step in script.step:
            for call in step.call:
                for one in arguments(call, file).get("files", []):
                    written[one["path"].removeprefix("/app/")] = one["content"]
        # Migrations are generated in the VM, as an app's author would.
        wanted = {path for path in app.rglob("*") if path.is_file() and path.relative_to(app).parts[0] != "drizzle"}
        assert written == {str(path.relative_to(app)): path.read_text() for path in wanted}
