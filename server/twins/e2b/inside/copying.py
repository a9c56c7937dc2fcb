"""A template build's COPY: files of an uploaded archive, put where the instruction says."""

# ruff: noqa: PTH101, PTH103, PTH108, PTH112, PTH114, PTH118, PTH119, PTH120, PTH207

from __future__ import annotations

import errno
import filecmp
import glob
import os
import shutil
import tarfile
import tempfile
from typing import TYPE_CHECKING

from server.twins.e2b.inside.jail import place

if TYPE_CHECKING:
    from server.twins.e2b.inside.jail import Answer, Jail


def copy_in(jail: Jail, source: str, target: str, mode: str, given: list[int], *, compare: bool = False) -> Answer:
    """Unpack the archive `given` and copy what `source` names in it (a path or a pattern) to `target`.

    As Docker's COPY: a folder's contents are merged into the target, a file becomes it, or goes into it where it
    ends in a slash or several files match. Raises `FileNotFoundError`, and `ENOSPC` where `/tmp` cannot hold it.
    `compare`: instead of copying a folder, raises `EROFS` unless the target holds its files already.
    """
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix=".copy-", dir=place(jail, "/tmp")) as root:
        with os.fdopen(os.dup(given[0]), "rb") as upload, tarfile.open(fileobj=upload, mode="r:*") as tar:
            for entry in tar.getmembers():
                entry.uid = entry.gid = os.geteuid()
                entry.uname = entry.gname = ""
            tar.extractall(root)  # noqa: S202 - with the sandbox's own rights, so it harms nobody else
        found = sorted(glob.glob(source, root_dir=root, recursive=True, include_hidden=True))
        if not found:
            raise FileNotFoundError(errno.ENOENT, "source path does not exist", source)
        if compare:
            for name in found:
                _same(os.path.join(root, name), place(jail, os.path.normpath(target)))
            return len(found), []
        into = target.endswith("/") or len(found) > 1
        for name in found:
            _put(os.path.normpath(os.path.join(root, name)), place(jail, os.path.normpath(target)), mode, into=into)
    return len(found), []


def _same(source: str, target: str) -> None:
    for folder, _, names in os.walk(source):
        beside = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        _, differing, missing = filecmp.cmpfiles(folder, beside, names, shallow=False)
        if differing or missing:
            raise OSError(errno.EROFS, "holds other files and cannot be changed", target)


def _put(source: str, target: str, mode: str, *, into: bool) -> None:
    if os.path.isdir(source) and not os.path.islink(source):
        if mode:
            for folder, folders, names in os.walk(source):
                for name in (*folders, *names):
                    _set_mode(os.path.join(folder, name), mode)
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_replace)
        return
    _set_mode(source, mode)
    if into or os.path.isdir(target):
        target = os.path.join(target, os.path.basename(source))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    _replace(source, target)


def _set_mode(path: str, mode: str) -> None:
    if mode and not os.path.islink(path):
        os.chmod(path, int(mode, 8))


def _replace(source: str, target: str) -> None:
    """Copy over whatever has that name: a link is replaced, not written through."""
    if os.path.lexists(target) and not os.path.isdir(target):
        os.unlink(target)
    shutil.copy2(source, target, follow_symlinks=False)
