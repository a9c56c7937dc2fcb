"""The server process: finding it, starting it, and what a killed one left behind."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.local.identity import database_identity
from server.local.postgres_cluster import ENVIRONMENT, socket_dir

if TYPE_CHECKING:
    from server.local.home import Home
    from server.local.postgres_binaries import PostgresBinaries

LARGEST_LOG = 5_000_000


@dataclass(frozen=True)
class Postmaster:
    pid: int
    port: int


def postmaster(home: Home) -> Postmaster | None:
    """The live server of this home, from its pid file; a pid some other program has by now is not one."""
    try:
        lines = (home.postgres / "data" / "postmaster.pid").read_text().splitlines()
        found = Postmaster(int(lines[0]), int(lines[3]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return found if _ours(found.pid, home) else None


def _ours(pid: int, home: Home) -> bool:
    import psutil

    try:
        return str(home.postgres / "data") in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def over(pid: int) -> bool:
    """Gone, or a zombie: our own child is one until it is asked about, somebody else's until they do."""
    import psutil

    try:
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        return True
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True


def forget_dead_owner(home: Home) -> bool:
    """Whether the last server left its lock files; what they name is another program or nobody by now.

    The pid becomes our own, which PostgreSQL knows to ignore in its parent. The file itself must stay: it
    also names the shared memory by which PostgreSQL sees that children of a killed server are still at work.
    """
    for lock in socket_dir(home).glob("*.lock"):
        lock.unlink(missing_ok=True)
    try:
        file = home.postgres / "data" / "postmaster.pid"
        lines = file.read_text().splitlines()
        file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    except FileNotFoundError:
        return False
    return True


def launch(home: Home, binaries: PostgresBinaries) -> subprocess.Popen[Any]:
    """A new session, so it outlives us; its log is opened here because it may not write to our folder."""
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "postgres.log"
    mode = "wb" if log.exists() and log.stat().st_size > LARGEST_LOG else "ab"
    command = [binaries.bin / "postgres", "-D", home.postgres / "data"]
    command += ["-c", f"config_file={home.postgres / 'etc' / 'postgresql.conf'}"]
    with log.open(mode) as output:
        log.chmod(0o600)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=ENVIRONMENT,
            **database_identity().spawn(),
        )
