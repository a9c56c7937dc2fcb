"""The bare repositories: real git, run without anybody's configuration and without hooks."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COMMAND_LIMIT = 60.0
"""Seconds a plain git command may take."""

_CONFIG = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "http.receivepack": "true",
    "http.getanyfile": "false",
    "receive.fsckObjects": "true",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowReachableSHA1InWant": "true",
    "gc.auto": "0",
    "receive.autogc": "false",
}
_FIELDS = ("%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B")


class GitError(Exception):
    """A git command failed."""


@dataclass(frozen=True)
class Person:
    name: str
    email: str
    date: str


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: list[str]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class Entry:
    """One line of a tree; `size` is None for a folder."""

    kind: str
    sha: str
    size: int | None
    path: str


def environment() -> dict[str, str]:
    """For every git process: nothing of ours or of the machine's configuration gets in."""
    settings = {
        f"GIT_CONFIG_{part}_{index}": text
        for index, pair in enumerate(_CONFIG.items())
        for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(_CONFIG)),
        **settings,
    }


class BareRepository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def init(self, branch: str) -> None:
        await _git("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(self.folder))

    async def remove(self) -> None:
        """Calling it twice is fine."""
        # Renamed first, so that a removal cut short does not leave half a repository under the name.
        gone = self.folder.with_suffix(".removed")
        if self.folder.exists():
            self.folder.replace(gone)
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)

    async def first_commit(self, branch: str, path: str, content: str, author: Person) -> None:
        """A commit with one file, on a branch that has none."""
        who = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", author.date))
        }
        blob = await self._run("hash-object", "-w", "--stdin", send=content.encode())
        tree = await self._run("mktree", send=f"100644 blob {blob}\t{path}\n".encode())
        commit = await self._run("commit-tree", tree, "-m", "Initial commit", extra=who)
        await self._run("update-ref", f"refs/heads/{branch}", commit)

    async def branches(self) -> dict[str, str]:
        """Branch name to commit."""
        lines = await self._run("for-each-ref", "--format=%(objectname) %(refname:strip=2)", "refs/heads")
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines.splitlines())}

    async def point_head(self, branch: str) -> None:
        await self._run("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    async def resolve(self, ref: str) -> str | None:
        """The commit a branch, tag or (short) sha names."""
        try:
            return await self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        except GitError:
            return None

    async def log(self, sha: str, *, skip: int = 0, count: int = 30, path: str = "") -> list[Commit]:
        fields = "%x00".join(_FIELDS) + "%x01"
        only = ("--", path) if path else ()
        raw = await self._run("log", f"--format={fields}", f"--skip={skip}", f"--max-count={count}", sha, *only)
        return [_commit(record.lstrip("\n")) for record in raw.split("\x01") if record.strip()]

    async def tree(self, sha: str, path: str) -> list[Entry] | None:
        """What is in a folder; None where there is no such folder."""
        try:
            raw = await self._run("ls-tree", "-z", "--long", f"{sha}:{path}")
        except GitError:
            return None
        return [_entry(line, path) for line in raw.split("\0") if line]

    async def file(self, sha: str, path: str) -> tuple[str, bytes] | None:
        """Object id and content of a file; None where there is no such file."""
        try:
            blob = await self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{sha}:{path}")
            return blob, await _git("cat-file", "blob", blob, folder=self.folder)
        except GitError:
            return None

    async def _run(self, *arguments: str, send: bytes = b"", extra: dict[str, str] | None = None) -> str:
        output = await _git(*arguments, folder=self.folder, send=send, extra=extra)
        return output.decode(errors="replace").rstrip("\n")


async def _git(
    *arguments: str, folder: Path | None = None, send: bytes = b"", extra: dict[str, str] | None = None
) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={**environment(), **({"GIT_DIR": str(folder)} if folder else {}), **(extra or {})},
    )
    try:
        async with asyncio.timeout(COMMAND_LIMIT):
            output, complaint = await process.communicate(send)
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise GitError(f"git {arguments[0]} failed: {complaint.decode(errors='replace').strip()}")
    return output


def _commit(record: str) -> Commit:
    sha, tree, parents, *people, message = record.split("\0")
    author, committer = Person(*people[:3]), Person(*people[3:])
    return Commit(sha, tree, parents.split(), author, committer, message.rstrip("\n"))


def _entry(line: str, folder: str) -> Entry:
    described, _, name = line.partition("\t")
    _mode, kind, sha, size = described.split()
    return Entry(kind, sha, int(size) if size.isdecimal() else None, f"{folder}/{name}" if folder else name)
