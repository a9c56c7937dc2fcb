"""A sandbox's folder on the host: laid out, measured, removed; as the sandboxes' own user and never as root."""

# ruff: noqa: PTH101, PTH103, PTH120, PTH123, PTH208 - bare names keep every child of the supervisor light

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.e2b.inside.jail import Answer, Jail

COUNT_LIMIT = 200_000
"""How many files are counted at most when a sandbox's disk is measured."""


def make_home(
    _jail: Jail,
    *,
    folder: str,
    template: str,
    folders: list[str],
    files: dict[str, str],
    modules: str,
    bare: bool = False,
) -> Answer:
    """Lay out what is in a new sandbox's folder: the starter copied to `app`, and what else it mounts.

    `modules` says how `node_modules` gets there: not at all (`overlay`), as a `copy`, or as `link`s to the
    template's files, which is quick and lets one session's edit in place be seen by the next. `bare`: without the
    starter's other files, for an image's own come next.
    """
    os.umask(0o022)
    try:
        for name in folders:
            os.makedirs(f"{folder}/{name}", exist_ok=True)
        for name in os.listdir(template) if not bare else ():
            if name != "node_modules":
                _copy(f"{template}/{name}", f"{folder}/app/{name}", shutil.copy2)
        if modules != "overlay":
            how = os.link if modules == "link" else shutil.copy2
            _copy(f"{template}/node_modules", f"{folder}/app/node_modules", how)
        for name, content in files.items():
            with open(f"{folder}/{name}", "w") as out:
                out.write(content)
    except shutil.Error as error:
        raise OSError(errno.EIO, str(error)) from error
    return None, []


def _copy(source: str, target: str, how: Callable[..., object]) -> None:
    if stat.S_ISDIR(os.lstat(source).st_mode):
        shutil.copytree(source, target, symlinks=True, copy_function=how, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def disk_used(_jail: Jail, folder: str) -> Answer:
    """Bytes on disk of a sandbox's own files."""
    total = counted = 0
    for _, folders, names, here in os.fwalk(folder, onerror=lambda _: None):
        for name in (*folders, *names):
            with contextlib.suppress(OSError):
                total += os.stat(name, dir_fd=here, follow_symlinks=False).st_blocks * 512
            counted += 1
        if counted > COUNT_LIMIT:
            break
    return total, []


def occupied(_jail: Jail, folder: str) -> Answer:
    """Bytes on disk and number of a sandbox's own files, all of them. Raises `OSError` where they cannot be counted:
    a tree too deep to walk has no other purpose."""
    total = counted = 0
    try:
        for _, folders, names, here in os.fwalk(folder, onerror=_unless_gone):
            counted += len(folders) + len(names)
            for name in (*folders, *names):
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(name, dir_fd=here, follow_symlinks=False).st_blocks * 512
    except RecursionError as error:
        raise OSError(errno.ELOOP, "too deep") from error
    return [total, counted], []


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | PermissionError):  # the overlay's own folder may not be looked into
        raise error


def empty_home(_jail: Jail, folder: str) -> Answer:
    """Empty a dead sandbox's folder. The overlay leaves a folder nobody may enter; it is ours, so open it first."""

    def open_up(function: Callable[[str], object], path: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            os.chmod(path, 0o700)
            shutil.rmtree(path, ignore_errors=True) if function in (os.scandir, os.open, os.rmdir) else function(path)

    for path in (f"{folder}/modules/work/work", f"{folder}/modules/work"):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
    for name in os.listdir(folder):
        shutil.rmtree(f"{folder}/{name}", onerror=open_up)
    return None, []
