"""What changed between two trees, file by file, with the patch of each."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.twins.github.git.repository import BareRepository

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LARGEST_PATCH = 400_000
"""Characters; GitHub leaves larger ones out, and so do we."""

_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
_RENAMES = ("-r", "-M", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True)
class FileChange:
    """`sha` is the new file's, or the old one's where it is gone; `patch` is None for binary and huge files."""

    path: str
    previous: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None


async def files(repository: BareRepository, old: str, new: str) -> list[FileChange]:
    """Sorted by path."""
    between = (*_RENAMES, old, new)
    raw = await repository.run_bytes("diff-tree", "-z", "--raw", "--abbrev=40", "--numstat", *between)
    fields = deque(raw.decode(errors="replace").split("\0"))
    changes = list(_raw(fields))
    counted = list(_numstat(fields))
    patches = await _patches(repository, between)
    found: list[FileChange] = []
    for (status, sha, previous, path), counts in zip(changes, counted, strict=True):
        patch = patches.popleft()
        if status == "changed" and len(patches) > len(changes) - len(found) - 1:
            patches.popleft()  # another type of file is told as one gone and one come
        found.append(
            FileChange(path, previous, status, sha, *counts, patch if patch and len(patch) <= LARGEST_PATCH else None)
        )
    return found


async def text(repository: BareRepository, old: str, new: str) -> bytes:
    """The whole difference, as `git diff` writes it."""
    return await repository.run_bytes("diff-tree", "-p", "--full-index", *_RENAMES, old, new)


async def mails(repository: BareRepository, *revisions: str) -> bytes:
    """The commits as mails, as `git format-patch` writes them."""
    return await repository.run_bytes("format-patch", "--stdout", "--no-signature", *revisions)


def _raw(fields: deque[str]) -> Iterator[tuple[str, str, str | None, str]]:
    """Status, object, previous path and path, from the `:…` records that come first."""
    while fields[0].startswith(":"):
        _, _, old, new, letter = fields.popleft().split(" ")
        previous = fields.popleft() if letter[0] in "RC" else None
        yield _STATUS.get(letter[0], "changed"), old if letter == "D" else new, previous, fields.popleft()


def _numstat(fields: deque[str]) -> Iterator[tuple[int, int]]:
    """Added and removed lines, from the records after them; nothing is counted in a binary file."""
    while len(fields) > 1:
        added, removed, path = fields.popleft().split("\t", 2)
        if not path:  # a renamed file: its two names follow
            fields.popleft()
            fields.popleft()
        yield (int(added), int(removed)) if added != "-" else (0, 0)


async def _patches(repository: BareRepository, between: tuple[str, ...]) -> deque[str | None]:
    whole = (await repository.run_bytes("diff-tree", "-p", *between)).decode(errors="replace")
    return deque(_hunks(each) for each in re.split(r"(?m)^diff --git ", whole)[1:])


def _hunks(one: str) -> str | None:
    start = re.search(r"(?m)^@@ ", one)
    return one[start.start() :].rstrip("\n") if start else None
