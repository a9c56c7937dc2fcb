"""Commits in order: a branch's log, and what lies between two commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.twins.github.git.objects import parse_commit
from server.twins.github.git.process import GitError

if TYPE_CHECKING:
    from server.twins.github.git.objects import Commit
    from server.twins.github.git.repository import BareRepository


@dataclass(frozen=True)
class Filter:
    """Which commits of a log: those that touch `path`, by one of `authors` (addresses), in a span of time."""

    path: str = ""
    authors: list[str] = field(default_factory=list[str])
    committers: list[str] = field(default_factory=list[str])
    since: str = ""
    until: str = ""

    def arguments(self) -> list[str]:
        options = [
            *(f"--author=<{each}>" for each in self.authors),
            *(f"--committer=<{each}>" for each in self.committers),
            *([f"--since={self.since}"] if self.since else []),
            *([f"--until={self.until}"] if self.until else []),
        ]
        return ["--fixed-strings", "--regexp-ignore-case", *options] if self.authors or self.committers else options

    def paths(self) -> list[str]:
        return ["--", self.path] if self.path else ["--"]


@dataclass(frozen=True)
class Comparison:
    """Two commits, their common ancestor, and how many commits each has that the other lacks."""

    base: str
    head: str
    ancestor: str
    ahead: int
    behind: int

    @property
    def status(self) -> str:
        if self.ahead and self.behind:
            return "diverged"
        return "ahead" if self.ahead else "behind" if self.behind else "identical"


async def log(
    repository: BareRepository, *revisions: str, skip: int = 0, count: int = 30, only: Filter | None = None
) -> list[Commit]:
    """Newest first."""
    wanted = only or Filter()
    bounds = (f"--skip={skip}", f"--max-count={count}")
    shas = await repository.run("rev-list", *bounds, *wanted.arguments(), *revisions, *wanted.paths())
    return await commits(repository, shas.split())


async def count(repository: BareRepository, *revisions: str, only: Filter | None = None) -> int:
    wanted = only or Filter()
    return int(await repository.run("rev-list", "--count", *wanted.arguments(), *revisions, *wanted.paths()))


async def commits(repository: BareRepository, shas: list[str]) -> list[Commit]:
    """Read in one go."""
    if not shas:
        return []
    raw = await repository.run_bytes("cat-file", "--batch", send="".join(f"{sha}\n" for sha in shas).encode())
    found: list[Commit] = []
    while raw:
        head, _, rest = raw.partition(b"\n")
        sha, _, size = head.decode().split()
        found.append(parse_commit(sha, rest[: int(size)]))
        raw = rest[int(size) + 1 :]
    return found


async def compare(repository: BareRepository, base: str, head: str) -> Comparison | None:
    """None where the two have no common ancestor."""
    try:
        ancestor = await repository.run("merge-base", base, head)
    except GitError:
        return None
    behind, ahead = (await repository.run("rev-list", "--left-right", "--count", f"{base}...{head}")).split()
    return Comparison(base, head, ancestor, int(ahead), int(behind))


async def is_ancestor(repository: BareRepository, older: str, newer: str) -> bool:
    try:
        await repository.run("merge-base", "--is-ancestor", older, newer)
    except GitError:
        return False
    return True


async def branches_at(repository: BareRepository, sha: str) -> list[str]:
    """The branches whose newest commit it is."""
    return sorted(name for name, head in (await repository.branches()).items() if head == sha)
