"""Bad input, keys, and the finding of the server: nothing half-made, one sentence, an exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from agent_loop.cli import server_process
from agent_loop.cli.keys import Keys
from agent_loop.environment import changed, fingerprints
from server.errors import StackError
from server.local import lock
from server.local.home import Home

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("mcp", "anthropic", "dbos", "e2b", "pydantic", "sqlalchemy", "httpx", "starlette")


def mk0r(home: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "MK0R_HOME": str(home), **environ}
    command = [sys.executable, "-P", "-c", "import sys; from agent_loop.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(command, env=kept, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", ""], "The idea is empty."),
        (["build", "   "], "The idea is empty."),
        (["build", "x" * 100_000], "100,000 characters"),
        (["build", "x", "--port", "99999"], "not a port"),
        (["build", "x", "--session", "../etc"], "not a session's slug"),
        (["show", "a/b"], "not a session's slug"),
        (["fly"], "invalid choice"),
        ([], "required"),
    ],
)
def test_bad_input_ends_in_a_sentence_before_anything_is_made(tmp_path: Path, arguments: list[str], said: str) -> None:
    home = tmp_path / "home"
    ended = mk0r(home, *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not home.exists()


def test_a_view_imports_nothing_the_server_is_made_of() -> None:
    modules = "main", "build", "commands", "client", "server_process", "context", "keys", "bridge", "psql"
    program = f"""
import importlib, sys
for name in {modules!r}: importlib.import_module("agent_loop.cli." + name)
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout.strip() == "[]"


def test_down_with_nothing_running_is_fine_twice(tmp_path: Path) -> None:
    for _ in range(2):
        ended = mk0r(tmp_path, "down")
        assert (ended.returncode, ended.stdout) == (0, "Nothing was running.\n")
    assert json.loads(mk0r(tmp_path, "down", "--json").stdout) == {"stopped": []}


def test_a_named_port_that_is_taken_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, environ in ((["sessions", "--port", port], {}), (["sessions"], {"MK0R_PORT": port})):
            ended = mk0r(tmp_path, *arguments, **environ)
            assert ended.returncode == 1
            assert f"Port {port}" in ended.stderr
            assert "--port" in ended.stderr
    assert not lock.is_held(tmp_path / "server.lock")


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = mk0r(tmp_path / "file" / "home", "sessions")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr


def test_keys_are_private_and_two_commands_may_keep_one_at_once(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "sessions.json")
    threads = [threading.Thread(target=keys.keep, args=(f"slug{n}", f"key{n}", "an idea")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [keys.get(f"slug{n}") for n in range(8)] == [f"key{n}" for n in range(8)]
    assert (tmp_path / "sessions.json").stat().st_mode & 0o777 == 0o600
    keys.forget("slug3")
    assert keys.get("slug3") is None
    assert keys.get("slug4") == "key4"


def test_a_file_left_by_a_server_that_died_is_not_taken_for_a_server(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.server_file.write_text(json.dumps({"pid": os.getpid(), "port": 1, "token": "t"}))
    assert server_process.find(home) is None


@pytest.mark.parametrize("text", ["", "garbage", "[1, 2]"])
def test_a_server_file_that_cannot_be_read_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert server_process.remembered(Home(tmp_path)) == {}


def test_a_running_server_is_found_by_its_lock(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.server_file.write_text(json.dumps({"pid": os.getpid(), "port": 1, "token": "t"}))
    held = lock.try_lock(home.root / "server.lock")
    assert held is not None
    found = server_process.find(home)
    os.close(held)
    assert found is not None
    assert found["port"] == 1


def test_asking_for_another_port_than_the_running_servers_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    home.server_file.write_text(json.dumps({"pid": os.getpid(), "port": 4000, "token": "t"}))
    held = lock.try_lock(home.root / "server.lock")
    assert held is not None
    with pytest.raises(StackError, match="port 4000, not 5000"):
        server_process.ensure(home, {}, tell=print, say=print, port=5000)
    os.close(held)


def test_a_new_credential_is_noticed_and_its_value_is_not_written_down() -> None:
    server = fingerprints({"PATH": "/bin", "RESEND_FROM": "a@b.c", "MK0R_HOME": "/x", "MK0R_PORT": "1"})
    assert server.keys() == {"RESEND_FROM"}
    assert changed({"RESEND_FROM": "a@b.c"}, server) == []
    assert changed({}, server) == []
    assert changed({"ANTHROPIC_API_KEY": "sk-ant-x", "RESEND_FROM": "a@b.c"}, server) == ["ANTHROPIC_API_KEY"]
    assert "sk-ant-x" not in json.dumps(fingerprints({"ANTHROPIC_API_KEY": "sk-ant-x"}))
