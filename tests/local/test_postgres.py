"""The embedded PostgreSQL, a real one in each test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from server.errors import StackError
from server.local import postgres
from server.local.home import Home
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

PASSWORD = Secret("a password with ' in it")
ROOT = os.geteuid() == 0
PYTHONPATH = os.pathsep.join((str(Path(__file__).parents[2]), sysconfig.get_path("purelib")))
BECOME_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


@pytest.fixture(scope="session")
def binaries() -> postgres.PostgresBinaries:
    return postgres.find_binaries({})


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    yield home
    shutil.rmtree(home.stack, ignore_errors=True)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def folder(port: int) -> Iterator[Path]:
    """A normal user's own folder; pytest's belongs to whoever runs it."""
    folder = Path(f"/tmp/mk0r-user-{port}")
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


@asynccontextmanager
async def running(home: Home, binaries: postgres.PostgresBinaries, port: int) -> AsyncGenerator[int]:
    await postgres.prepare(home, binaries, lambda _: None)
    try:
        yield await postgres.start(home, binaries, port, PASSWORD)
    finally:
        await postgres.stop(home, binaries)


async def ask(home: Home, port: int, query: str, *, over: str = "localhost", password: Secret = PASSWORD) -> str:
    connection = await psycopg.AsyncConnection.connect(
        host=over, port=port, user="postgres", password=password.reveal(), dbname="postgres", sslmode="disable"
    )
    async with connection:
        row = await (await connection.execute(query.encode())).fetchone()
    return str(row[0]) if row else ""


async def test_it_serves_over_tcp_and_over_its_socket(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    async with running(home, binaries, port):
        assert int(await ask(home, port, "show server_version_num")) // 10_000 == binaries.major >= 17
        assert await ask(home, port, "show fsync", over=str(postgres.socket_dir(home))) == "on"
        assert await ask(home, port, "show server_encoding") == "UTF8"
        assert await ask(home, port, "select lower('ÜBER')") == "über"


async def test_it_never_runs_as_root_and_its_password_is_in_no_arguments(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    async with running(home, binaries, port) as pid:
        process = psutil.Process(pid)
        assert process.uids().effective != 0
        assert os.getsid(pid) == pid, "it has a session of its own, so it outlives ours"
        assert PASSWORD.reveal() not in " ".join([*process.cmdline(), *process.environ().values()])


async def test_a_wrong_password_is_refused(home: Home, binaries: postgres.PostgresBinaries, port: int) -> None:
    async with running(home, binaries, port):
        for over in ("127.0.0.1", str(postgres.socket_dir(home))):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                await ask(home, port, "select 1", over=over, password=Secret("wrong"))


async def test_starting_twice_is_one_server_and_stopping_twice_is_fine(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    async with running(home, binaries, port) as pid:
        assert await postgres.start(home, binaries, port, PASSWORD) == pid
        await postgres.stop(home, binaries)
        assert not psutil.pid_exists(pid)
        await postgres.stop(home, binaries)


async def test_data_survives_a_kill_and_the_stale_pid_file_is_no_obstacle(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    async with running(home, binaries, port) as pid:
        connection = await psycopg.AsyncConnection.connect(
            host="localhost",
            port=port,
            user="postgres",
            password=PASSWORD.reveal(),
            dbname="postgres",
            autocommit=True,
        )
        async with connection:
            await connection.execute("create table kept as select 42 as n")
        os.kill(pid, signal.SIGKILL)
        assert await postgres.start(home, binaries, port, PASSWORD) != pid
        assert await ask(home, port, "select n from kept") == "42"


async def test_a_pid_file_that_names_another_program_is_no_obstacle(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    await postgres.prepare(home, binaries, lambda _: None)
    stale = home.postgres / "data" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{stale.parent}\n0\n{port}\n")
    stale.chmod(0o644)
    async with running(home, binaries, port):
        assert await ask(home, port, "select 1") == "1"


async def test_another_password_is_taken_over_at_the_next_start(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    async with running(home, binaries, port):
        await postgres.start(home, binaries, port, Secret("another"))
        assert await ask(home, port, "select 1", password=Secret("another")) == "1"


async def test_a_taken_port_is_said_in_one_sentence(home: Home, binaries: postgres.PostgresBinaries, port: int) -> None:
    await postgres.prepare(home, binaries, lambda _: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(StackError, match=f"Port {port}.*taken") as raised:
            await postgres.start(home, binaries, port, PASSWORD)
    assert raised.value.code == "port_taken"
    assert raised.value.next_action


async def test_what_a_killed_initdb_left_is_cleared_away(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    (home.postgres / "data.new").mkdir(parents=True)
    (home.postgres / "data.new" / "PG_VERSION").write_text("1")
    said: list[str] = []
    await postgres.prepare(home, binaries, said.append)
    assert said == ["Initialising PostgreSQL"]
    await postgres.prepare(home, binaries, said.append)
    assert len(said) == 1, "a prepared home needs nothing"


async def test_a_home_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    if ROOT:
        pytest.skip("root's stack has a short path of its own")
    folder = postgres.socket_dir(Home(tmp_path / ("long" * 30)))
    assert len(str(folder)) < 80


async def test_a_cluster_of_another_version_is_said_in_one_sentence(
    home: Home, binaries: postgres.PostgresBinaries
) -> None:
    await postgres.prepare(home, binaries, lambda _: None)
    with pytest.raises(StackError, match=f"PostgreSQL {binaries.major}'s"):
        await postgres.prepare(home, replace(binaries, major=binaries.major + 1), lambda _: None)


@pytest.mark.skipif(not ROOT, reason="only root drops to another user")
async def test_programs_the_database_user_cannot_reach_are_copied(
    home: Home, binaries: postgres.PostgresBinaries, tmp_path: Path, port: int
) -> None:
    closed = tmp_path / "closed"
    for part in binaries.parts:
        shutil.copytree(binaries.base / part, closed / part)
    closed.chmod(0o700)
    chosen = postgres.find_binaries({"MK0R_PG_BIN": str(closed / binaries.bin.relative_to(binaries.base))})
    async with running(home, chosen, port) as pid:
        assert str(home.postgres / "dist") in psutil.Process(pid).cmdline()[0]
        assert await ask(home, port, "select 1") == "1"


def test_a_folder_without_postgresql_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="MK0R_PG_BIN"):
        postgres.find_binaries({"MK0R_PG_BIN": str(tmp_path)})


SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from server.local import postgres
from server.local.home import Home
from server.secrets import Secret

async def main():
    home, binaries = Home(Path(sys.argv[1])), postgres.find_binaries({})
    await postgres.prepare(home, binaries, lambda _: None)
    print(await postgres.start(home, binaries, int(sys.argv[2]), Secret(sys.stdin.read())), flush=True)

asyncio.run(main())
"""


async def test_it_outlives_the_program_that_started_it(
    home: Home, binaries: postgres.PostgresBinaries, port: int
) -> None:
    done = _run_script([sys.executable], home, port)
    try:
        assert psutil.pid_exists(int(done))
        assert await ask(home, port, "select 1") == "1"
    finally:
        await postgres.stop(home, binaries)


@pytest.mark.skipif(not ROOT or not shutil.which("setpriv"), reason="needs root to become somebody else")
async def test_it_works_for_a_normal_user(port: int, folder: Path) -> None:
    python = _everybodys_python()
    if python is None:
        pytest.skip("no Python of this version that a normal user may run")
    home = Home(folder / "home")
    pid = int(_run_script([*BECOME_NOBODY, "env", f"HOME={folder}", python], home, port))
    try:
        assert await ask(home, port, "select 1") == "1"
        assert psutil.Process(pid).uids().effective == 65534
        assert (home.root / "stack" / "postgres" / "data").is_dir(), "everything is in that user's own home"
    finally:
        os.kill(pid, signal.SIGINT)
        psutil.wait_procs([psutil.Process(pid)], timeout=20)


def _run_script(python: list[str], home: Home, port: int) -> str:
    done = subprocess.run(
        [*python, "-P", "-c", SCRIPT, str(home.root), str(port)],
        input=PASSWORD.reveal(),
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        text=True,
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _everybodys_python() -> str | None:
    """Root's own Python may be closed to others; any of the same version can use its packages."""
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if subprocess.run([*BECOME_NOBODY, "env", python, "-c", same], check=False, cwd="/").returncode == 0:
            return python
    return None
