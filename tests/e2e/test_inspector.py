"""The README's own lines: the MCP Inspector's command line against each transport."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent_loop.cli import server_process
from server.local.home import Home
from server.local.node import find_node
from tests.prepared import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
LINES = [
    line for line in (ROOT / "README.md").read_text().splitlines() if "inspector@" in line and line.startswith("npx")
]
TOOLS = {
    "provision_session",
    "get_session",
    "get_env",
    "run_in_vm",
    "write_files",
    "read_file",
    "preview_app",
    "git_push",
    "destroy_session",
    "list_sessions",
}


@pytest.fixture(scope="module")
def environ(
    tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]
) -> Iterator[dict[str, str]]:
    """A shell with Node's own tools on its path, and a mk0r of its own."""
    folder = tmp_path_factory.mktemp("inspector")
    node = find_node()
    npx = folder / "npx"
    npx.write_text(f'#!/bin/sh\nexec "{node.node}" "{node.npm_cli.parent / "npx-cli.js"}" "$@"\n')
    npx.chmod(0o755)
    path = f"{folder}:{node.node.parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "HOME": str(folder), "MK0R_HOME": str(folder / ".mk0r")}
    give_template(Home(folder / ".mk0r"))
    yield environ
    subprocess.run(["./mk0r", "down"], cwd=ROOT, env=environ, check=True, capture_output=True)
    remove(Home(folder / ".mk0r"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("line", LINES, ids=["stdio", "http"])
def test_the_inspector_lists_the_tools(line: str, environ: dict[str, str]) -> None:
    home = Home(Path(environ["MK0R_HOME"]))
    subprocess.run(["./mk0r", "sessions"], cwd=ROOT, env=environ, check=True, capture_output=True)
    server = server_process.find(home)
    assert server is not None
    command = line.replace("127.0.0.1:3000", f"127.0.0.1:{server['port']}")
    ran = subprocess.run(
        [*command.split(), "--format", "json"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran
    answer = json.loads(ran.stdout)
    assert {tool["name"] for tool in answer.get("result", answer)["tools"]} == TOOLS
