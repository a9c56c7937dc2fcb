"""Files and folders, as envd's `Filesystem` service and its `/files` have them."""

# ruff: noqa: PTH103, PTH104, PTH108, PTH112, PTH115, PTH116, PTH118, PTH119, PTH120
# ruff: noqa: PTH208 - bare names keep what every child of the supervisor carries light

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

from server.twins.e2b.inside.jail import place

if TYPE_CHECKING:
    from server.twins.e2b.inside.jail import Answer, Jail

ENTRIES_LIMIT = 50_000
"""How many entries one listing gives at most."""

ATTRIBUTE = "user.e2b."
"""Where a file's metadata is kept: the extended attributes below this name (envd's API, `POST /files`)."""

CHUNK = 1 << 20


def describe(jail: Jail, path: str) -> dict[str, Any]:
    """One entry as envd's `EntryInfo` has it. A symbolic link is described with its target's type."""
    here = place(jail, path)
    status = os.lstat(here)
    target = os.readlink(here) if stat.S_ISLNK(status.st_mode) else None
    mode = status.st_mode
    if target is not None:
        with contextlib.suppress(OSError):
            mode = os.stat(here).st_mode
    kind = "directory" if stat.S_ISDIR(mode) else "symlink" if stat.S_ISLNK(mode) else "file"
    return {
        "name": os.path.basename(path) or "/",
        "type": kind,
        "path": path,
        "size": status.st_size,
        "mode": status.st_mode & 0o777,
        "permissions": _permissions(status.st_mode),
        "owner": "root" if status.st_uid == os.geteuid() else "nobody",
        "group": "root" if status.st_uid == os.geteuid() else "nogroup",
        "modified": status.st_mtime_ns,
        "target": target,
        "metadata": _metadata(here) if target is None else {},
    }


def _permissions(mode: int) -> str:
    """As Go's `fs.FileMode` prints it, which is what envd passes on: `Lrwxrwxrwx`, `dtrwxrwxrwx`."""
    marks = "".join(
        letter
        for letter, holds in (
            ("d", stat.S_ISDIR(mode)),
            ("L", stat.S_ISLNK(mode)),
            ("D", stat.S_ISBLK(mode) or stat.S_ISCHR(mode)),
            ("p", stat.S_ISFIFO(mode)),
            ("S", stat.S_ISSOCK(mode)),
            ("u", mode & stat.S_ISUID),
            ("g", mode & stat.S_ISGID),
            ("c", stat.S_ISCHR(mode)),
            ("t", mode & stat.S_ISVTX),
        )
        if holds
    )
    bits = "".join(letter if mode & 1 << 8 - place else "-" for place, letter in enumerate("rwxrwxrwx"))
    return (marks or "-") + bits


def _metadata(here: str) -> dict[str, str]:
    found: dict[str, str] = {}
    with contextlib.suppress(OSError, AttributeError):  # no such file system, or no such system
        for name in os.listxattr(here, follow_symlinks=False):
            if name.startswith(ATTRIBUTE):
                value = os.getxattr(here, name, follow_symlinks=False)
                found[name.removeprefix(ATTRIBUTE)] = value.decode(errors="replace")
    return found


def set_metadata(jail: Jail, path: str, metadata: dict[str, str]) -> Answer:
    """Replace a file's metadata: keys that are not among these are removed."""
    here = place(jail, path)
    for name in _metadata(here).keys() - metadata.keys():
        os.removexattr(here, ATTRIBUTE + name)
    for name, value in metadata.items():
        os.setxattr(here, ATTRIBUTE + name, value.encode())
    return None, []


def info(jail: Jail, path: str) -> Answer:
    return describe(jail, path), []


def listing(jail: Jail, path: str, depth: int) -> Answer:
    """Entries below a folder, `depth` levels down, links not followed."""
    found: list[dict[str, Any]] = []
    level = [path]
    for _ in range(depth):
        below: list[str] = []
        for folder in level:
            for name in sorted(os.listdir(place(jail, folder))):
                entry = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    found.append(describe(jail, entry))
                    if found[-1]["type"] == "directory" and found[-1]["target"] is None:
                        below.append(entry)
                if len(found) >= ENTRIES_LIMIT:
                    return found, []
        level = below
    return found, []


def make_folder(jail: Jail, path: str) -> Answer:
    here = place(jail, path)
    if os.path.lexists(here) and not os.path.isdir(here):
        raise NotADirectoryError(errno.ENOTDIR, "path already exists but it is not a directory", path)
    os.makedirs(here)
    return describe(jail, path), []


def move(jail: Jail, source: str, destination: str) -> Answer:
    os.makedirs(os.path.dirname(place(jail, destination)), exist_ok=True)
    os.rename(place(jail, source), place(jail, destination))
    return describe(jail, destination), []


def remove(jail: Jail, path: str) -> Answer:
    """Remove a file or a whole folder; one that is not there is no error, as in envd."""
    here = place(jail, path)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(here).st_mode):
            shutil.rmtree(here)
        else:
            os.unlink(here)
    return None, []


def compose(jail: Jail, sources: list[str], destination: str) -> Answer:
    """Put files one after the other into another; then they are gone, as in envd's `/files/compose`."""
    _, (opened,) = open_to_write(jail, destination)
    with os.fdopen(opened, "wb") as out:
        for source in sources:
            _, (part,) = open_to_read(jail, source)
            with os.fdopen(part, "rb") as content:
                shutil.copyfileobj(content, out, CHUNK)
        out.truncate()
    for source in sources:
        if place(jail, source) != place(jail, destination):
            os.unlink(place(jail, source))
    return describe(jail, destination), []


def open_to_read(jail: Jail, path: str) -> Answer:
    # Non-blocking, or opening a pipe somebody left there would wait for ever.
    opened = os.open(place(jail, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return _only_regular(opened), [opened]


def open_to_write(jail: Jail, path: str) -> Answer:
    """A file to write over. It is not emptied: whoever writes cuts it to length afterwards, and a reader in between
    sees the old beginning rather than nothing. Written in place, so its mode, owner and other names stay."""
    here = place(jail, path)
    os.umask(0o022)
    os.makedirs(os.path.dirname(here), exist_ok=True)
    opened = os.open(here, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    _only_regular(opened)
    return describe(jail, path), [opened]


def _only_regular(opened: int) -> dict[str, int]:
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode):
        os.close(opened)
        raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EACCES, "not a regular file")
    return {"size": status.st_size, "modified": int(status.st_mtime)}
