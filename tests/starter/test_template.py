"""The template every local sandbox starts from."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from server.errors import StackError
from server.local import node, template
from server.local.identity import sandbox_identity
from server.twins.e2b import tier
from tests.prepared import PREPARED

if TYPE_CHECKING:
    from pathlib import Path

    from server.local.home import Home


async def test_a_prepared_template_is_ready_at_once_the_next_time(prepared: Home) -> None:
    said: list[str] = []
    before = (prepared.template / template.STAMP).stat()

    await template.prepare(prepared, said.append)

    assert said == []
    assert (prepared.template / template.STAMP).stat().st_ino == before.st_ino


def test_the_starter_holds_no_folder_that_a_clone_would_not_have() -> None:
    empty = [
        folder for folder in (template.SOURCES / "starter").rglob("*") if folder.is_dir() and not any(folder.iterdir())
    ]

    assert empty == []


def test_preparing_leaves_nothing_half_made_behind(prepared: Home) -> None:
    there = {path.name for path in PREPARED.stack.iterdir()}
    assert sorted(name for name in there if not name.startswith(".old-")) == ["node", "template", "template.lock"]


def test_the_sandbox_user_owns_the_app_and_its_packages(prepared: Home) -> None:
    uid = sandbox_identity().uid or os.geteuid()
    app = prepared.template / "app"
    for path in (app, app / "node_modules", app / "node_modules" / "vite" / "package.json", app / "src" / "App.tsx"):
        assert path.stat().st_uid == uid
    assert any((app / ".git" / "objects").iterdir())


def test_the_sandbox_user_can_run_node_npm_and_the_browser(prepared: Home) -> None:
    runtime = template.installed_node(prepared)
    browser = prepared.template / "opt" / "browser" / "chromium" / "chromium"
    env = {"PATH": f"{runtime.node.parent}:/usr/bin:/bin", "HOME": "/tmp"}
    for command in (["node", "--version"], ["npm", "--version"], ["npx", "--version"], [str(browser), "--version"]):
        done = subprocess.run(
            command,
            env=env,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            **sandbox_identity().spawn(),
        )
        assert done.stdout.strip()


def test_the_app_is_a_repository_with_the_starter_as_its_first_commit(prepared: Home) -> None:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *words],
            cwd=prepared.template / "app",
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            **sandbox_identity().spawn(),
            env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull},
        )
        return done.stdout

    assert len(git("log", "--format=%h").split()) == 1
    assert git("status", "--porcelain") == ""
    assert git("branch", "--show-current").strip() == "main"
    files = git("ls-files").split()
    assert "package-lock.json" in files
    assert not [name for name in files if name.startswith(("node_modules/", ".env"))]


def test_the_dev_servers_cache_is_warm_for_the_path_app(prepared: Home) -> None:
    if tier.probe().name != "namespaces":
        pytest.skip("no namespaces here: the cache cannot be warmed for /app")
    assert (prepared.template / "app" / "node_modules" / ".vite" / "deps" / "_metadata.json").exists()


async def test_a_program_that_fails_says_what_to_do_and_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"It broke\. Mend it\. Details: .*log"):
        await _run(tmp_path, "echo the reason; exit 3")
    assert "the reason" in (tmp_path / "log").read_text()


async def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="longer than 0 s"):
        await _run(tmp_path, "sleep 60 & echo $! > child; wait", seconds=0.4)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_npm_finds_the_machines_settings_beside_its_own_npm(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "npm").chmod(0o755)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "npmrc").write_text("strict-ssl=true\n")

    found = node._global_config({"PATH": str(tmp_path / "bin")})  # pyright: ignore[reportPrivateUsage] - the rule itself

    assert found == tmp_path / "etc" / "npmrc"


async def _run(folder: Path, script: str, seconds: float = 10) -> None:
    await node.run(
        ["/bin/sh", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        log=folder / "log",
        failed="It broke.",
        next_action="Mend it.",
        seconds=seconds,
    )
