"""The twins' own process: started apart from us, known by its command line, stopped for certain."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.local.facts import StackFacts
    from server.local.home import Home

STOP_SECONDS = 10.0


def spawn_twins(home: Home, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # The twins and the sandboxes under them have no use for the operator's live keys.
    secret = ("_API_KEY", "_TOKEN", "_SECRET", "_SECRET_KEY", "_PASSWORD", "_AUTH_TOKEN")
    passed = {name: value for name, value in environ.items() if not name.endswith(secret)}
    with (home.logs / "twins.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "server.twins", "--home", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.root,
            env=passed,
            start_new_session=True,
        )


async def healthy(facts: StackFacts) -> bool:
    """Whether every twin answers under its own name."""

    async def asked(vendor: str, url: str) -> bool:
        answer = await client.get(url)
        return answer.status_code == HTTPStatus.OK and answer.json().get("vendor") == vendor

    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        try:
            answers = await asyncio.gather(*(asked(name, twin.health_url) for name, twin in facts.twins.items()))
        except (httpx.HTTPError, ValueError):
            return False
    return all(answers)


def is_twins(words: list[str], home: Home) -> bool:
    return "server.twins" in words and str(home.root) in words


def twins_processes(home: Home) -> list[psutil.Process]:
    """Every twins process of this home, the one we remember and any a crash left behind."""
    return [process for process in psutil.process_iter() if is_twins(command_line(process.pid), home)]


def command_line(pid: int) -> list[str]:
    """A process's arguments; empty for one that is gone, dead but not collected, or not ours to see."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def end(processes: list[psutil.Process]) -> None:
    """Ask politely, then insist. Returns when they are gone."""
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, stubborn = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in stubborn:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(stubborn, timeout=STOP_SECONDS)
