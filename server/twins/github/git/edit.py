"""New trees from old ones, through an index of their own: no work tree is needed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.core import ids
from server.twins.github.git.objects import tree
from server.twins.github.git.repository import NOTHING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from server.twins.github.git.repository import BareRepository

FOLDER = "040000"


class NoSuchPath(Exception):
    """What shall be removed is not there."""


@dataclass(frozen=True)
class Change:
    """What shall stand at a path; `sha` None removes what is there."""

    path: str
    mode: str
    sha: str | None


async def changed_tree(repository: BareRepository, base: str | None, changes: Sequence[Change]) -> str:
    """The tree `base` (None: an empty one) with the changes. Raises `GitError` for one that does not fit."""
    async with _index(repository) as index:
        if base:
            await repository.run("read-tree", base, GIT_INDEX_FILE=index)
        files = [change for change in changes if change.mode != FOLDER and change.sha]
        for folder in (change for change in changes if change.mode == FOLDER and change.sha):
            await _remove(repository, index, folder.path)
            files = [*await _below(repository, folder), *files]
        for gone in (change for change in changes if change.sha is None):
            if not await _remove(repository, index, gone.path):
                raise NoSuchPath(gone.path)
        lines = "".join(f"{change.mode} {change.sha}\t{change.path}\0" for change in files)
        await repository.run(
            "update-index", "-z", "--replace", "--index-info", send=lines.encode(), GIT_INDEX_FILE=index
        )
        return await repository.run("write-tree", GIT_INDEX_FILE=index)


async def _below(repository: BareRepository, folder: Change) -> list[Change]:
    """Every file of a folder's tree, where it shall stand."""
    entries = await tree(repository, str(folder.sha), recursive=True) or []
    return [Change(f"{folder.path}/{each.path}", each.mode, each.sha) for each in entries if each.kind != "tree"]


async def _remove(repository: BareRepository, index: str, path: str) -> bool:
    """Whether there was a file or folder to remove."""
    listed = await repository.run_bytes("ls-files", "-z", "--", path, GIT_INDEX_FILE=index)
    paths = [each for each in listed.split(b"\0") if each]
    lines = b"".join(b"0 " + NOTHING.encode() + b"\t" + each + b"\0" for each in paths)
    await repository.run("update-index", "-z", "--index-info", send=lines, GIT_INDEX_FILE=index)
    return bool(paths)


@asynccontextmanager
async def _index(repository: BareRepository) -> AsyncGenerator[str]:
    path = repository.folder / f"index-{ids.lower(16)}"
    try:
        yield str(path)
    finally:
        for left in (path, path.with_name(f"{path.name}.lock")):
            left.unlink(missing_ok=True)
