"""`mk0r bench` runs to its end, says every figure with its unit, draws, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from server.local.home import Home
from tests import prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def mk0r(home: Path, *arguments: str, temporary: str = "/tmp") -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "MK0R_HOME": str(home), "TMPDIR": temporary}
    command = [sys.executable, "-P", "-c", "import sys; from agent_loop.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(command, env=kept, capture_output=True, text=True, timeout=110, check=False)


def measured(home: Path, part: str, out: Path) -> dict[str, Any]:
    """The part's results, and its promise that every one has a unit and samples and that nothing is left."""
    # Others may measure at the same time: what this one leaves is looked for where only it can leave something.
    with tempfile.TemporaryDirectory() as own:
        ended = mk0r(
            home, "bench", "--only", part, "--few", "--rounds", "1", "--json", "--out", str(out), temporary=own
        )
        assert [*Path(own).glob("mk0r-bench-*")] == []
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told == json.loads(out.read_text())
    assert told["measures"]
    for measure in told["measures"]:
        assert measure["unit"], measure
        assert measure["samples"], measure
        assert measure["stood_in"] in {"twins", "stand-in"}
    assert told["machine"]["cores"] >= 1
    assert len(told["machine"]["load"]) == 3
    assert "twins" in told["about"]
    return told


@pytest.fixture
def home(tmp_path: Path, give_template: Callable[[Home], None]) -> Iterator[Path]:
    """One with a prepared template, which the bench's own homes use."""
    made = Home(tmp_path / "home")
    give_template(made)
    yield made.root
    prepared.remove(made)


def test_growth_is_measured_and_drawn_from_what_was_saved(tmp_path: Path) -> None:
    told = measured(tmp_path / "home", "growth", tmp_path / "growth.json")
    assert {"ratio", "KiB", "ms", "1/s"} <= {measure["unit"] for measure in told["measures"]}
    assert [level["sessions"] for level in told["notes"]["growth"]] == [4, 12]
    drawn = mk0r(tmp_path / "home", "bench", "--draw", str(tmp_path / "growth.json"), "--svg", str(tmp_path / "a.svg"))
    assert drawn.returncode == 0, drawn.stderr
    picture = ET.fromstring((tmp_path / "a.svg").read_text())
    lines = picture.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == len({name for name in told["notes"]["growth"][0] if name not in {"sessions", "memory"}})


def test_a_session_costs_something_with_and_without_the_journal(tmp_path: Path) -> None:
    told = measured(tmp_path / "home", "durability", tmp_path / "out.json")
    named = {measure["name"]: measure for measure in told["measures"]}
    assert named["processor time of a session, with the journal"]["median"] > 0
    assert named["processor time of a session, without it"]["median"] > 0


def test_the_twins_count_the_calls_of_a_session(home: Path, tmp_path: Path) -> None:
    told = measured(home, "calls", tmp_path / "out.json")
    counted = told["notes"]["calls of one session"]
    assert counted["resend"] == 2
    assert counted["github"] == counted["e2b"] == 1
    assert told["measures"][0]["median"] == sum(n for vendor, n in counted.items() if vendor != "VM")


def test_what_is_not_a_measurement_is_refused_before_anything_starts(tmp_path: Path) -> None:
    ended = mk0r(tmp_path / "home", "bench", "--only", "speed")
    assert ended.returncode == 2
    assert "Choose from" in ended.stderr
    (tmp_path / "empty.json").write_text("{}")
    assert mk0r(tmp_path / "home", "bench", "--draw", str(tmp_path / "empty.json")).returncode == 2
