"""What most measurements stand on: the real server process in a home of its own, in front of the stand-in vendors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from agent_loop.cli import server_process
from agent_loop.environment import WATCHED_PREFIXES
from server.local.home import Home

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from agent_loop.cli.client import Client

BY_DEFAULT, WITHOUT_JOURNAL = "agent_loop.web", "agent_loop.cli.bench.unjournaled"


class StandIn:
    """The stand-in vendors' process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port: int = self._read()["port"]

    def calls(self) -> dict[str, int]:
        """What was asked, by route, since this was last called."""
        return self._tell({})["calls"]

    def answer_after(self, latency_ms: Mapping[str, float]) -> None:
        """Each route answers after so long; one that is not named at once."""
        self._tell({"latency_ms": dict(latency_ms)})

    def _tell(self, line: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101 - it was opened with one
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it was opened with one
        return json.loads(self._process.stdout.readline())


class Stage:
    """A server and its vendors."""

    def __init__(self, home: Home, vendors: StandIn, environ: Mapping[str, str], module: str) -> None:
        self.home = home
        self.vendors = vendors
        self._environ = environ
        self._module = module
        self.start()

    def start(self) -> None:
        """Have the server, ready."""
        if self._module != BY_DEFAULT:
            self.home.make()
            _start(self._module, self.home, self._environ)
        self.client: Client = server_process.ensure(self.home, self._environ, tell=lambda _: None, say=lambda _: None)
        self.process = psutil.Process((server_process.find(self.home) or {})["pid"])

    def cpu_seconds(self) -> float:
        spent = self.process.cpu_times()
        return spent.user + spent.system

    def memory(self) -> int:
        """Bytes of its own: what it shares with others is not counted."""
        return self.process.memory_full_info().uss


@contextmanager
def stand_in() -> Generator[StandIn]:
    command = [sys.executable, "-P", "-m", "agent_loop.cli.bench.standin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield StandIn(process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def on_stage(
    environ: Mapping[str, str], *, module: str = BY_DEFAULT, settings: Mapping[str, str] | None = None
) -> Generator[Stage]:
    """A new server, ready, with these settings of its own; nothing is left of it afterwards."""
    with stand_in() as vendors:
        folder = Path(tempfile.mkdtemp(prefix="mk0r-bench-"))
        home = Home(folder / "home")
        try:
            yield Stage(home, vendors, {**_environ(environ, vendors.port), **(settings or {})}, module)
        finally:
            if server := server_process.find(home):
                server_process.stop(home, server)
            shutil.rmtree(home.stack, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def _start(module: str, home: Home, environ: Mapping[str, str]) -> None:
    """Another program than the usual one, as `server_process` would start it: that then finds it running."""
    with (home.logs / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, "--home", str(home.root)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(environ),
        )
    assert process.stdout is not None  # noqa: S101 - it was opened with one
    process.stdout.readline()


def _environ(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """Every vendor set, none limited: to the server the stand-in is the vendors, and no twin is started."""
    url = f"http://127.0.0.1:{port}"
    keys = ("NEON_API_KEY", "RESEND_API_KEY", "POSTHOG_KEY", "GITHUB_TOKEN", "E2B_API_KEY", "ANTHROPIC_API_KEY")
    return {
        **{name: value for name, value in environ.items() if not name.startswith(WATCHED_PREFIXES)},
        **unlimited(),
        **dict.fromkeys(keys, "stand-in"),
        "MK0R_NEON_BASE_URL": f"{url}/neon",
        "MK0R_RESEND_BASE_URL": f"{url}/resend",
        "RESEND_FROM": "mk0r <app@mk0r.localhost>",
        "MK0R_GITHUB_OWNER": "mk0r",
        "MK0R_GITHUB_API_URL": f"{url}/github",
        "MK0R_E2B_API_URL": url,
        "MK0R_E2B_SANDBOX_URL": url,
        "MK0R_PUBLIC_URL": "https://mk0r.example",
    }


def unlimited() -> dict[str, str]:
    """The settings of a server that keeps no vendor's limit."""
    return dict.fromkeys(("MK0R_LIMIT_NEON", "MK0R_LIMIT_RESEND", "MK0R_LIMIT_GITHUB", "MK0R_LIMIT_E2B"), "0")
