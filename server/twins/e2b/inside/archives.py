"""A folder into one file and out of it again: what a snapshot of a sandbox is made of.

Kept are modes, times, links of both kinds, extended attributes and the overlay's marks for removed files. The walk
holds open folders, never paths, so a tree that changes under it leads nowhere else.
"""

# ruff: noqa: PTH101, PTH103, PTH108, PTH120, PTH123 - bare names keep this light

from __future__ import annotations

import base64
import contextlib
import gzip  # noqa: F401 # pyright: ignore[reportUnusedImport] - loaded now, for what comes in later may be packed
import os
import stat
import tarfile
from typing import TYPE_CHECKING

from server.twins.e2b.inside.jail import place

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from server.twins.e2b.inside.jail import Answer, Jail

XATTR = "MK0R.xattr."
"""Under these names an archive carries extended attributes, in base64."""

KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE,
         stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE}  # fmt: skip


def pack(jail: Jail, path: str, given: list[int], skip: list[str] | None = None) -> Answer:
    """Write a folder to the open file `given`; `skip`: folders below it that stay out, though they are there empty."""
    left_out = set(skip or ())
    links: dict[tuple[int, int], str] = {}
    with (
        os.fdopen(os.dup(given[0]), "wb") as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        root = place(jail, path)
        for folder, folders, names, here in os.fwalk(root, onerror=_opened(root)):
            below = folder[len(root) :].lstrip("/")
            if below in left_out:
                folders.clear()
                continue
            for name in sorted([*folders, *names]):
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    _one(tar, here, name, f"{below}/{name}".lstrip("/"), links)
    return None, []


def _opened(root: str) -> Callable[[OSError], None]:
    def note(error: OSError) -> None:
        if error.filename == root or error.filename is None:
            raise error

    return note


def _one(tar: tarfile.TarFile, here: int, name: str, path: str, links: dict[tuple[int, int], str]) -> None:
    status = os.stat(name, dir_fd=here, follow_symlinks=False)
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return  # a socket is nothing without its listener
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.mtime = kind, stat.S_IMODE(status.st_mode), status.st_mtime
    if kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink(name, dir_fd=here)
    elif kind == tarfile.REGTYPE:
        known = links.setdefault((status.st_dev, status.st_ino), path)
        if known != path:
            entry.type, entry.linkname = tarfile.LNKTYPE, known
            tar.addfile(entry)
            return
    if kind not in (tarfile.REGTYPE, tarfile.DIRTYPE):
        tar.addfile(entry)
        return
    if not status.st_mode & stat.S_IRUSR:
        os.chmod(name, stat.S_IMODE(status.st_mode) | stat.S_IRUSR, dir_fd=here)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, flags, dir_fd=here), "rb") if kind == tarfile.REGTYPE else _folder(name, here) as content:
        opened = content if isinstance(content, int) else content.fileno()
        entry.pax_headers = _attributes(opened)
        if isinstance(content, int):
            tar.addfile(entry)
        else:
            entry.size = os.fstat(opened).st_size
            tar.addfile(entry, content)


@contextlib.contextmanager
def _folder(name: str, here: int) -> Generator[int]:
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
    try:
        yield opened
    finally:
        os.close(opened)


def _attributes(opened: int) -> dict[str, str]:
    found: dict[str, str] = {}
    with contextlib.suppress(OSError, AttributeError):
        for name in os.listxattr(opened):
            if name.startswith("user."):
                found[XATTR + name] = base64.b64encode(os.getxattr(opened, name)).decode()
    return found


def unpack(jail: Jail, path: str, given: list[int]) -> Answer:
    """Lay a packed folder out in one that nothing else can reach yet."""
    root = place(jail, path)
    whole = os.path.realpath(root)
    later: list[tuple[str, tarfile.TarInfo]] = []
    with os.fdopen(os.dup(given[0]), "rb") as source, tarfile.open(fileobj=source, mode="r:") as tar:
        for entry in tar:
            target = f"{root}/{entry.name}"
            if not f"{os.path.realpath(os.path.dirname(target))}/".startswith(f"{whole}/"):
                continue  # it would lie outside
            if entry.isdir():
                os.makedirs(target, exist_ok=True)
                os.chmod(target, 0o700)
                later.append((target, entry))
            else:
                _lay(tar, entry, target, root)
            _set_attributes(target, entry)
    for target, entry in reversed(later):
        os.chmod(target, entry.mode)
        os.utime(target, (entry.mtime, entry.mtime))
    return None, []


def _lay(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: str, root: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    if entry.issym():
        os.symlink(entry.linkname, target)  # noqa: PTH211
    elif entry.islnk():
        os.link(f"{root}/{entry.linkname}", target)
    elif entry.isfifo():
        os.mkfifo(target, entry.mode)
    elif entry.ischr():
        os.mknod(target, stat.S_IFCHR, os.makedev(0, 0))  # the overlay's "removed", which anybody may make
    elif (content := tar.extractfile(entry)) is not None:
        with open(target, "xb") as out:
            while chunk := content.read(1 << 20):
                out.write(chunk)
        os.utime(target, (entry.mtime, entry.mtime))
        os.chmod(target, entry.mode)


def _set_attributes(target: str, entry: tarfile.TarInfo) -> None:
    for name, value in entry.pax_headers.items():
        if name.startswith(XATTR):
            with contextlib.suppress(OSError, AttributeError):
                os.setxattr(target, name.removeprefix(XATTR), base64.b64decode(value), follow_symlinks=False)
