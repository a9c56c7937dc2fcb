"""`mk0r twins` is all that a project which is not ours needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.local.home import Home
from tests.prepared import CONTRACT, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.local.node import NodeRuntime

MK0R = Path(sys.executable).parent / "mk0r"
HERE = CONTRACT / "elsewhere"
WHAT = ["mail", "database", "repository", "app", "event", "flags", "sandbox", "model"]


@pytest.fixture(scope="module")
def environ(
    tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]
) -> Iterator[dict[str, str]]:
    """A shell in which somebody typed `eval "$(mk0r twins)"`."""
    home = Home(tmp_path_factory.mktemp("elsewhere") / ".mk0r")
    give_template(home)
    before = {**os.environ, "HOME": str(home.root.parent), "MK0R_HOME": str(home.root)}
    script = f'eval "$({MK0R} twins)" && env -0'
    told = subprocess.run(["bash", "-c", script], env=before, capture_output=True, text=True, timeout=110, check=True)
    yield dict(line.split("=", 1) for line in told.stdout.split("\0") if line)
    subprocess.run([str(MK0R), "down"], env=before, check=True, capture_output=True, timeout=60)
    remove(home)


def run(command: list[str], environ: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(command, cwd=HERE, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_python_sdks_find_the_twins_by_the_lines_it_prints(environ: dict[str, str]) -> None:
    said = run([sys.executable, "project.py"], environ)
    assert list(said) == WHAT
    assert (said["sandbox"], said["model"]) == ("42", "rehearsal")


def test_javascript_sdks_find_the_twins_by_the_lines_it_prints(environ: dict[str, str], node: NodeRuntime) -> None:
    said = run([str(node.node), "project.mjs"], environ)
    assert list(said) == WHAT
    assert (said["sandbox"], said["model"]) == ("42", "rehearsal")
