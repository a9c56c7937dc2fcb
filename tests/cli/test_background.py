"""The background server as commands meet it: one for all, restarted when it must be, left when it may be.

Every vendor is "live" here and hangs: nothing is started besides the server, and a leg costs its budget.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MK0R = str(Path(sys.executable).parent / "mk0r")
BOUND = 60


@dataclass(frozen=True)
class Cli:
    home: Path
    environ: dict[str, str]

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MK0R, *arguments],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0, **environ: str) -> str:
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=BOUND)
        assert process.returncode == code, (arguments, process.returncode, out, err)
        return out + err

    def server(self) -> dict[str, Any]:
        return json.loads((self.home / "server.json").read_text())


@pytest.fixture(scope="module")
def hanging() -> Iterator[str]:
    """A vendor that takes a request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for one in kept:
            one.close()


@pytest.fixture
def cli(tmp_path: Path, hanging: str) -> Iterator[Cli]:
    names = ("NEON", "RESEND", "GITHUB_API", "GITHUB_GIT", "E2B_API", "E2B_SANDBOX")
    urls = {f"MK0R_{name}_{'URL' if '_' in name else 'BASE_URL'}": hanging for name in names}
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MK0R_HOME": str(tmp_path / "home"),
        **urls,
        "NEON_API_KEY": "napi_x",
        "RESEND_API_KEY": "re_x",
        "RESEND_FROM": "a@b.example",
        "POSTHOG_KEY": "phc_x",
        "GITHUB_TOKEN": "ghp_x",
        "MK0R_GITHUB_OWNER": "o",
        "E2B_API_KEY": "e2b_x",
        "MK0R_PUBLIC_URL": "https://mk0r.example",
        "ANTHROPIC_API_KEY": "sk-ant-x",
        "ANTHROPIC_BASE_URL": hanging,
        "MK0R_LEG_BUDGET_SECONDS": "4",
    }
    made = Cli(tmp_path / "home", environ)
    yield made
    made("down")


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + BOUND
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return "agent_loop.web" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_commands_that_start_at_once_share_one_server(cli: Cli) -> None:
    started = [cli.start("sessions", "--json") for _ in range(4)]
    for process in started:
        out, err = process.communicate(timeout=BOUND)
        assert (process.returncode, json.loads(out)) == (0, {"sessions": [], "more": 0}), err
    log = (cli.home / "logs" / "server.log").read_text()
    assert log.count("Started server process") == 1


def test_a_server_that_was_killed_is_started_again_at_its_port(cli: Cli) -> None:
    cli("sessions")
    first = cli.server()
    os.kill(first["pid"], signal.SIGKILL)
    cli("sessions")
    second = cli.server()
    assert second["pid"] != first["pid"]
    assert second["port"] == first["port"]
    assert second["token"] != first["token"]


def test_a_setting_that_is_new_here_restarts_the_server_and_is_named_without_its_value(cli: Cli) -> None:
    cli("sessions")
    first = cli.server()["pid"]
    said = cli("sessions", ANTHROPIC_API_KEY="sk-ant-other")
    assert "ANTHROPIC_API_KEY" in said
    assert "sk-ant-other" not in said
    assert cli.server()["pid"] != first
    assert not alive(first)
    without = {name: value for name, value in cli.environ.items() if name != "ANTHROPIC_API_KEY"}
    again = cli.server()["pid"]
    Cli(cli.home, without)("sessions")
    assert cli.server()["pid"] == again


def test_down_ends_the_server_and_its_token(cli: Cli) -> None:
    cli("sessions")
    pid = cli.server()["pid"]
    assert "Stopped: server" in cli("down")
    until(lambda: not alive(pid))
    assert "token" not in cli.server()
    assert "Nothing was running" in cli("down")


def test_leaving_a_build_leaves_it_running_and_says_how_to_come_back(cli: Cli) -> None:
    build = cli.start("build", "a list of books", "--services", "none")
    assert build.stdout is not None
    assert "a list of books" in build.stdout.readline()
    build.send_signal(signal.SIGINT)
    _, err = build.communicate(timeout=BOUND)
    assert build.returncode == 130
    [session] = json.loads(cli("sessions", "--json"))["sessions"]
    assert f"mk0r logs {session['slug']}" in err
    assert f"mk0r build --session {session['slug']}" in err
    assert "Traceback" not in err
    said = cli("logs", session["slug"])  # ends when the run does
    assert "vm" in said
    assert "longer than its 4 s" in said


def test_leaving_while_the_server_starts_leaves_nothing_the_next_command_trips_over(cli: Cli) -> None:
    first = cli.start("sessions")
    until((cli.home / "start.lock").exists)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=BOUND)
    assert first.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err
    assert "No sessions yet" in cli("sessions")


def test_a_view_of_a_server_that_is_stopped_ends_and_does_not_start_it_again(cli: Cli) -> None:
    build = cli.start("build", "a list of books", "--services", "none", MK0R_LEG_BUDGET_SECONDS="30")
    assert build.stdout is not None
    assert "a list of books" in build.stdout.readline()
    pid = cli.server()["pid"]
    cli("down")
    _, err = build.communicate(timeout=BOUND)
    assert build.returncode == 1
    assert "was stopped" in err
    until(lambda: not alive(pid))
    assert "token" not in cli.server()


def test_serve_in_front_refuses_a_second_server_and_ends_on_interrupt(cli: Cli) -> None:
    served = cli.start("serve")
    assert served.stdout is not None
    assert "mk0r listens at http://127.0.0.1:" in served.stdout.readline()
    assert "running already" in cli("serve", code=3)
    assert "No sessions yet" in cli("sessions")
    served.send_signal(signal.SIGINT)
    served.communicate(timeout=BOUND)
    assert served.returncode in (0, 130)
