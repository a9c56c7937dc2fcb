"""What a cluster is made of: its files, its configuration, its superuser's password. All calls block."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import StackError
from server.local.identity import database_identity

if TYPE_CHECKING:
    from server.local.home import Home
    from server.local.postgres_binaries import PostgresBinaries
    from server.secrets import Secret

SUPERUSER = "postgres"
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
INITDB_SECONDS = 120.0
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 104 on macOS and 108 on Linux, terminator included

# Iterations make a guessable password dear to guess. Ours are random, and 4096 cost every login 5 ms or more.
# No statement text and no row values in the log: both are the apps' own business.
CONFIGURATION = """\
listen_addresses = '127.0.0.1,::1'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
hba_file = '{etc}/pg_hba.conf'
ident_file = '{etc}/pg_ident.conf'
password_encryption = 'scram-sha-256'
scram_iterations = 128
max_connections = 300
shared_buffers = '32MB'
temp_file_limit = '1GB'
jit = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '1GB'
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = fatal
log_min_error_statement = panic
log_error_verbosity = terse
log_checkpoints = off
"""

# The socket asks for cleartext because the Neon driver's WebSocket mode sends its password before it is asked.
RULES = """\
local all all password
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


def socket_dir(home: Home) -> Path:
    """Where the unix socket is: in the home, or in a short folder when the home's path is too long."""
    folder = home.postgres / "run"
    if len(str(folder / ".s.PGSQL.65535")) <= LONGEST_SOCKET_PATH:
        return folder
    return Path(tempfile.gettempdir()) / f"mk0r-pg-{sha256(str(home.root).encode()).hexdigest()[:12]}"


def initialise(home: Home, binaries: PostgresBinaries) -> None:
    """Make the cluster beside its final place, then rename: a killed run leaves no half-made one.

    The superuser gets no password and the cluster's own rules reject everybody, until `start`.
    """
    identity = database_identity()
    fresh = home.postgres / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    identity.own(fresh)
    command = [binaries.bin / "initdb", "-D", fresh, "--no-sync", "--no-locale", "-E", "UTF8"]
    # As on Neon: sorted by code point, but upper and lower case known for every script.
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(
        [*command, "-U", SUPERUSER, "-A", "reject"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=INITDB_SECONDS,
        cwd="/",
        env=ENVIRONMENT,
        check=False,
        text=True,
        errors="replace",
        **identity.spawn(),
    )
    if done.returncode:
        raise _initdb_failed(done.stderr)
    fresh.rename(home.postgres / "data")


def _initdb_failed(text: str) -> StackError:
    if "effective user" in text:
        return StackError(
            "PostgreSQL's initdb needs the current user to have an entry in the passwd database.",
            next_action="Run as a named user, or name a PostgreSQL of your own in MK0R_PG_BIN.",
        )
    last = text.strip().splitlines()[-1:] or ["it said nothing"]
    return StackError(
        f"PostgreSQL's initdb failed: {last[0]}",
        next_action="Check free disk space and that the folder is writable.",
    )


def check_version(home: Home, binaries: PostgresBinaries) -> None:
    """Raises StackError when the cluster was made by another major version: its files cannot be read."""
    made_by = (home.postgres / "data" / "PG_VERSION").read_text().strip()
    if made_by != str(binaries.major):
        raise StackError(
            f"The databases of this home are PostgreSQL {made_by}'s; the programs found are {binaries.major}'s.",
            next_action=f"Set MK0R_PG_BIN to the programs of a PostgreSQL {made_by}, or use another MK0R_HOME.",
            code="postgres_version",
        )


def write_configuration(home: Home, port: int) -> None:
    """Everything is written anew at each start, so an old home follows a new version."""
    etc, sockets = home.postgres / "etc", socket_dir(home)
    etc.mkdir(exist_ok=True)
    etc.chmod(0o755)
    files = {
        "postgresql.conf": CONFIGURATION.format(port=port, sockets=sockets, etc=etc),
        "pg_hba.conf": RULES,
        "pg_ident.conf": "",
    }
    for name, text in files.items():
        (etc / name).write_text(text)
        (etc / name).chmod(0o644)
    _own_folder(sockets)


def _own_folder(folder: Path) -> None:
    """A 0700 folder of the database's identity; one that somebody else put there is refused."""
    identity = database_identity()
    try:
        folder.mkdir(mode=0o700)
        identity.own(folder)
    except FileExistsError:
        found = folder.lstat()
        wanted = os.geteuid() if identity.uid is None else identity.uid
        if found.st_uid != wanted or folder.is_symlink():
            raise StackError(f"{folder} belongs to somebody else.", next_action="Remove it and start again.") from None


def set_password(home: Home, binaries: PostgresBinaries, password: Secret) -> None:
    """Through a single-user backend of the stopped cluster, on its standard input: never in argv."""
    command = [binaries.bin / "postgres", "--single", "-D", home.postgres / "data", "-j"]
    command += ["-c", f"config_file={home.postgres / 'etc' / 'postgresql.conf'}", "postgres"]
    literal = password.reveal().replace("'", "''")
    done = subprocess.run(
        command,
        input=f"ALTER ROLE {SUPERUSER} LOGIN PASSWORD '{literal}'\n;\n\n".encode(),
        capture_output=True,
        timeout=INITDB_SECONDS,
        cwd="/",
        env=ENVIRONMENT,
        check=False,
        text=False,
        **database_identity().spawn(),
    )
    if done.returncode:
        raise StackError(
            "PostgreSQL did not take its superuser's password.",
            next_action=f"Look at {home.logs / 'postgres.log'}.",
        )
