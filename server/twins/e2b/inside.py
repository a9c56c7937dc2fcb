"""What the supervisor's children do in a sandbox: start a process, work on files, open sockets.

Everything here runs with the sandbox's own rights and sees only what it sees, so a symbolic link it planted leads
nowhere it could not go itself. Answers are JSON, with open files beside them where a file or socket was asked for.
"""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import shutil
import socket
import stat
from typing import TYPE_CHECKING, Any

from server.twins.e2b import confine

if TYPE_CHECKING:
    from collections.abc import Callable

Jail = dict[str, Any]
Answer = tuple[Any, list[int]]

SWEEPS = 10
ENTRIES_LIMIT = 50_000
"""How many entries one listing gives at most."""


def start(jail: Jail, job: dict[str, Any], files: list[int]) -> None:
    """Become the process a job describes. Reports its process id, then, if it comes to that, why it could not start."""
    report, *standard = confine.keep_only(files)
    os.write(report, json.dumps({"pid": os.getpid()}).encode() + b"\n")
    try:
        if jail:
            confine.restrict(jail)
        else:
            confine.drop_capabilities()
        confine.execute({**job, "cwd": place(jail, job["cwd"])}, standard)
    except OSError as error:
        problem = {"error": errno.errorcode.get(error.errno or 0, "EIO"), "about": os.fsdecode(error.filename or "")}
        os.write(report, json.dumps(problem).encode() + b"\n")


def answer(reply: int, function: Callable[..., Answer], jail: Jail, arguments: dict[str, Any]) -> None:
    """Call a function of this module and send what it returns, or the name of the error it met."""
    try:
        if jail and function is not signal_all:  # whose reach is the sandbox's processes, and no wall of theirs
            confine.restrict(jail)
        result, files = function(jail, **arguments)
        message = {"ok": result}
    except OSError as error:
        message, files = {"error": errno.errorcode.get(error.errno or 0, "EIO"), "message": str(error)}, []
    with socket.socket(fileno=os.dup(reply)) as channel:
        channel.setblocking(True)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        channel.sendmsg([b"\n"], rights)
        channel.sendall(json.dumps(message).encode())


def place(jail: Jail, path: str) -> str:
    """Where a path of the sandbox really is: itself, except in the weak tier, which maps it to the session's folder."""
    for prefix, folder in jail.get("folders", ()):
        if path == prefix or path.startswith(prefix + "/"):
            return folder + path[len(prefix) :]
    return path


def describe(jail: Jail, path: str) -> dict[str, Any]:
    """One entry as envd's `EntryInfo` has it. A symbolic link is described with its target's type."""
    here = place(jail, path)
    status = os.lstat(here)
    target = os.readlink(here) if stat.S_ISLNK(status.st_mode) else None  # noqa: PTH115 - as below
    mode = status.st_mode
    if target is not None:
        with contextlib.suppress(OSError):
            mode = os.stat(here).st_mode  # noqa: PTH116 - bare names keep this module light
    kind = "directory" if stat.S_ISDIR(mode) else "symlink" if stat.S_ISLNK(mode) else "file"
    return {
        "name": os.path.basename(path) or "/",  # noqa: PTH119
        "type": kind,
        "path": path,
        "size": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
        "permissions": stat.filemode(status.st_mode),
        "owner": "root" if status.st_uid == os.geteuid() else "nobody",
        "group": "root" if status.st_uid == os.geteuid() else "nogroup",
        "modified": status.st_mtime_ns,
        "target": target,
    }


def info(jail: Jail, path: str) -> Answer:
    return describe(jail, path), []


def listing(jail: Jail, path: str, depth: int) -> Answer:
    """Entries below a folder, `depth` levels down, links not followed."""
    found: list[dict[str, Any]] = []
    level = [path]
    for _ in range(depth):
        below: list[str] = []
        for folder in level:
            for name in sorted(os.listdir(place(jail, folder))):  # noqa: PTH208
                entry = os.path.join(folder, name)  # noqa: PTH118
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    found.append(describe(jail, entry))
                    if found[-1]["type"] == "directory" and found[-1]["target"] is None:
                        below.append(entry)
                if len(found) >= ENTRIES_LIMIT:
                    return found, []
        level = below
    return found, []


def make_folder(jail: Jail, path: str) -> Answer:
    os.makedirs(place(jail, path))  # noqa: PTH103
    return describe(jail, path), []


def move(jail: Jail, source: str, destination: str) -> Answer:
    os.makedirs(os.path.dirname(place(jail, destination)), exist_ok=True)  # noqa: PTH103, PTH120
    os.rename(place(jail, source), place(jail, destination))  # noqa: PTH104
    return describe(jail, destination), []


def remove(jail: Jail, path: str) -> Answer:
    """Remove a file or a whole folder; one that is not there is no error, as in envd."""
    here = place(jail, path)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(here).st_mode):
            shutil.rmtree(here)
        else:
            os.unlink(here)  # noqa: PTH108
    return None, []


def open_to_read(jail: Jail, path: str) -> Answer:
    # Non-blocking, or opening a pipe somebody left there would wait for ever.
    opened = os.open(place(jail, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return _only_regular(opened), [opened]


def open_to_write(jail: Jail, path: str) -> Answer:
    here = place(jail, path)
    os.umask(0o022)
    os.makedirs(os.path.dirname(here), exist_ok=True)  # noqa: PTH103, PTH120
    opened = os.open(here, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    _only_regular(opened)
    os.ftruncate(opened, 0)
    return describe(jail, path), [opened]


def _only_regular(opened: int) -> dict[str, int]:
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode):
        os.close(opened)
        raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EACCES, "not a regular file")
    return {"size": status.st_size}


def listeners(_jail: Jail, ports: list[int]) -> Answer:
    """Listening sockets on the sandbox's loopback: a socket stays in the network it was made in, whoever holds it."""
    opened: list[int] = []
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        opened.append(listener.detach())
    return None, opened


def sockets(_jail: Jail, count: int) -> Answer:
    """Unconnected TCP sockets in the sandbox's network, for connecting to what listens there."""
    return None, [socket.socket().detach() for _ in range(count)]


def signal_all(jail: Jail, number: int) -> Answer:
    """Signal every process of the sandbox in one sweep that no fork can slip through; not its process 1, nor us."""
    if jail:
        kill_jail(jail, number)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
    return None, []


def make_home(
    _jail: Jail, folder: str, template: str, folders: list[str], files: dict[str, str], modules: str
) -> Answer:
    """Lay out a new sandbox's folder: the starter copied to `app`, and what else it mounts.

    `modules` says how `node_modules` gets there: not at all (`overlay`), as a `copy`, or as `link`s to the
    template's files, which is quick and lets one session's edit in place be seen by the next.
    """
    os.umask(0o022)
    os.makedirs(folder, mode=0o700)  # noqa: PTH103
    try:
        for name in folders:
            os.makedirs(f"{folder}/{name}", exist_ok=True)  # noqa: PTH103
        for name in os.listdir(template):  # noqa: PTH208
            if name != "node_modules":
                _copy(f"{template}/{name}", f"{folder}/app/{name}", shutil.copy2)
        if modules != "overlay":
            how = os.link if modules == "link" else shutil.copy2
            _copy(f"{template}/node_modules", f"{folder}/app/node_modules", how)
        for name, content in files.items():
            with open(f"{folder}/{name}", "w") as out:  # noqa: PTH123
                out.write(content)
    except (OSError, shutil.Error):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return None, []


def _copy(source: str, target: str, how: Callable[..., object]) -> None:
    if stat.S_ISDIR(os.lstat(source).st_mode):
        shutil.copytree(source, target, symlinks=True, copy_function=how, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def remove_home(_jail: Jail, folder: str) -> Answer:
    """Remove a dead sandbox's folder. The overlay leaves a folder nobody may enter; it is ours, so open it first."""

    def open_up(function: Callable[[str], object], path: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120
            os.chmod(path, 0o700)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True) if function in (os.scandir, os.open, os.rmdir) else function(path)

    doomed = f"{folder}.removed"
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, doomed)  # noqa: PTH104
    for path in (f"{doomed}/modules/work/work", f"{doomed}/modules/work"):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)  # noqa: PTH101
    shutil.rmtree(doomed, onerror=open_up)
    return None, []


def kill_jail(jail: Jail, number: int) -> None:
    """Signal the weak tier's processes of a sandbox: all that carry its mark, until a sweep finds no new one."""
    mark = jail["mark"].encode()
    seen: set[int] = set()
    for _ in range(SWEEPS):
        found = [pid for pid in _marked(mark) if pid not in seen]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        seen.update(found)


def _marked(mark: bytes) -> list[int]:
    found: list[int] = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():  # noqa: PTH112, PTH208
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environ:  # noqa: PTH123
                if mark in environ.read().split(b"\0"):
                    found.append(int(name))
    return found
