"""Git itself against GitHub: clone, push, the protocol's newer parts, and who is turned away."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.github_sdk import pygithub, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from github.Repository import Repository

    from tests.contract.conftest import Service

WHO = {"NAME": "Ann", "EMAIL": "ann@example.com"}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in WHO.items()},
}


async def git(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and everything said."""
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def done(folder: Path, *arguments: str, **variables: str) -> str:
    code, said = await git(folder, *arguments, **variables)
    assert code == 0, said
    return said


@dataclass(frozen=True)
class Remote:
    service: Service
    repository: Repository

    def url(self, token: str = "", name: str = "") -> str:
        origin = "https://github.com" if self.service.live else self.service.direct_url
        path = name or f"{self.repository.full_name}.git"
        return f"{origin}/{path}".replace("://", f"://x-access-token:{token or self.service.key}@")

    async def token(self, **asked: Any) -> str:
        """Another token of the operator's, which only a twin can be asked for."""
        if self.service.stack is None:
            pytest.skip("needs tokens of several kinds")
        made = await self.service.stack.twin("github", "POST", "tokens", asked)
        return made["token"]


@pytest.fixture
async def remote(github: Service) -> AsyncIterator[Remote]:
    user: Any = pygithub(github).get_user()
    made = await asyncio.to_thread(lambda: user.create_repo(unique(), private=True, auto_init=True))
    yield Remote(github, made)
    await asyncio.to_thread(made.delete)


@pytest.fixture
async def work(remote: Remote, tmp_path: Path) -> Path:
    await done(tmp_path, "clone", "--quiet", remote.url(), "work")
    return tmp_path / "work"


async def commit(work: Path, name: str, content: bytes = b"hello\n") -> None:
    (work / name).parent.mkdir(parents=True, exist_ok=True)
    (work / name).write_bytes(content)
    await done(work, "add", "--all")
    await done(work, "commit", "--quiet", "-m", f"Add {name}")


async def test_what_is_pushed_is_what_the_api_shows(remote: Remote, work: Path, tmp_path: Path) -> None:
    await commit(work, "src/app.txt")
    await done(work, "push", "--quiet", "origin", "HEAD:main", "HEAD:feature/one")
    head = (await done(work, "rev-parse", "HEAD")).strip()
    branches = await asyncio.to_thread(
        lambda: {each.name: each.commit.sha for each in remote.repository.get_branches()}
    )
    assert branches == {"main": head, "feature/one": head}
    found: Any = await asyncio.to_thread(remote.repository.get_contents, "src/app.txt")
    assert found.decoded_content == b"hello\n"
    await done(tmp_path, "clone", "--quiet", remote.url(name=remote.repository.full_name), "without-dot-git")
    await done(work, "push", "--quiet", "origin", "--delete", "feature/one")
    code, said = await git(work, "push", "origin", "--delete", "main")
    assert code != 0
    assert "refusing to delete the current branch: refs/heads/main" in said


async def test_what_the_api_commits_can_be_fetched(remote: Remote, work: Path) -> None:
    await asyncio.to_thread(remote.repository.create_file, "api.txt", "By the API", "hello")
    await done(work, "pull", "--quiet", "--ff-only")
    assert (work / "api.txt").read_text() == "hello"
    assert (await done(work, "fsck", "--strict")) == ""


async def test_version_two_of_the_protocol_is_spoken(remote: Remote, work: Path) -> None:
    said = await done(work, "-c", "protocol.version=2", "ls-remote", "origin", "refs/heads/m*", GIT_TRACE_PACKET="1")
    assert "version 2" in said
    assert "refs/heads/main" in said


async def test_a_shallow_clone_can_be_deepened(remote: Remote, work: Path, tmp_path: Path) -> None:
    for number in range(3):
        await commit(work, f"{number}.txt")
    await done(work, "push", "--quiet", "origin", "HEAD:main")
    await done(tmp_path, "clone", "--quiet", "--depth=1", remote.url(), "shallow")
    assert (await done(tmp_path / "shallow", "rev-list", "--count", "HEAD")).strip() == "1"
    await commit(tmp_path / "shallow", "from-shallow.txt")
    await done(tmp_path / "shallow", "push", "--quiet")
    await done(tmp_path / "shallow", "fetch", "--quiet", "--unshallow")
    assert (await done(tmp_path / "shallow", "rev-list", "--count", "HEAD")).strip() == "5"


async def test_a_partial_clone_fetches_files_when_they_are_needed(remote: Remote, work: Path, tmp_path: Path) -> None:
    await commit(work, "large.txt", b"large\n" * 1000)
    await done(work, "push", "--quiet", "origin", "HEAD:main")
    await done(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", remote.url(), "partial")
    missing = await done(tmp_path / "partial", "rev-list", "--objects", "--missing=print", "HEAD")
    assert "?" in missing
    await done(tmp_path / "partial", "checkout", "--quiet", "main")
    assert (tmp_path / "partial" / "large.txt").stat().st_size == 6000


async def test_thirty_megabytes_are_pushed_in_chunks(remote: Remote, work: Path, tmp_path: Path) -> None:
    size = 2**20 if remote.service.live else 30 * 2**20
    await done(work, "config", "core.compression", "0")  # noise cannot be made smaller
    await commit(work, "noise.bin", os.urandom(size))
    await done(work, "-c", "http.postBuffer=65536", "push", "--quiet", "origin", "HEAD:main")
    await done(tmp_path, "clone", "--quiet", remote.url(), "copy")
    assert (tmp_path / "copy" / "noise.bin").stat().st_size == size


async def test_a_renamed_repository_is_found_by_git_too(remote: Remote, work: Path, tmp_path: Path) -> None:
    before = remote.url()
    await asyncio.to_thread(lambda: remote.repository.edit(name=unique()))
    said = await done(tmp_path, "clone", before, "moved")
    assert "redirecting to" in said
    await commit(work, "later.txt")
    await done(work, "push", "--quiet", "origin", "HEAD:main")
    found: Any = await asyncio.to_thread(remote.repository.get_contents, "later.txt")
    assert found.size == 6


async def test_a_push_behind_the_branch_is_refused(remote: Remote, work: Path) -> None:
    await asyncio.to_thread(remote.repository.create_file, "theirs.txt", "Theirs", "theirs")
    await commit(work, "ours.txt")
    code, said = await git(work, "push", "origin", "HEAD:main")
    assert code != 0
    assert "[rejected]" in said
    await done(work, "push", "--quiet", "--force", "origin", "HEAD:main")


async def test_who_is_turned_away(remote: Remote, work: Path, tmp_path: Path) -> None:
    code, said = await git(tmp_path, "ls-remote", remote.url("ghp_wrong"))
    assert (code, "Authentication failed" in said) == (128, True)
    code, said = await git(tmp_path, "ls-remote", remote.url(name=f"{remote.repository.owner.login}/{unique()}.git"))
    assert (code, "not found" in said) == (128, True)
    name = remote.repository.full_name
    read = await remote.token(repositories=[name], permissions={"contents": "read"})
    assert "refs/heads/main" in await done(tmp_path, "ls-remote", remote.url(read))
    await commit(work, "a.txt")
    code, said = await git(work, "push", remote.url(read), "HEAD:main")
    assert (code, "Write access to repository not granted" in said, "403" in said) == (128, True, True)
    elsewhere = await remote.token(owner="mk0r", repositories=[], permissions={"contents": "write"})
    code, said = await git(work, "push", remote.url(elsewhere), "HEAD:main")
    assert (code, "Repository not found" in said) == (128, True)
    over = await remote.token(repositories=[name], permissions={"contents": "write"}, expires_at="2020-01-01T00:00:00Z")
    code, said = await git(work, "push", remote.url(over), "HEAD:main")
    assert (code, "Authentication failed" in said) == (128, True)


async def test_workflows_need_a_permission_of_their_own(remote: Remote, work: Path) -> None:
    name = remote.repository.full_name
    plain = await remote.token(repositories=[name], permissions={"contents": "write"})
    whole = await remote.token(repositories=[name], permissions={"contents": "write", "workflows": "write"})
    unscoped = await remote.token(scopes=["repo"])
    await commit(work, ".github/workflows/ci.yml", b"on: push\n")
    for token in (plain, unscoped):
        code, said = await git(work, "push", remote.url(token), "HEAD:main")
        assert code != 0
        assert "to create or update workflow `.github/workflows/ci.yml` without `workflow" in said
    await done(work, "push", "--quiet", remote.url(whole), "HEAD:main")
    await commit(work, "after.txt")
    await done(work, "push", "--quiet", remote.url(plain), "HEAD:main", "HEAD~1:refs/heads/known")


async def test_what_is_pushed_can_configure_and_run_nothing(remote: Remote, work: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for name in ("hooks/post-receive", ".git-hooks/post-receive", ".githooks/update"):
        await commit(work, name, f"#!/bin/sh\ntouch {marker}\n".encode())
    await commit(work, "config", f"[core]\n\tfsmonitor = touch {marker}\n\thooksPath = hooks\n".encode())
    await commit(work, ".gitattributes", b"* filter=evil diff=evil export-subst\n")
    await done(work, "push", "--quiet", "origin", "HEAD:main")
    await asyncio.to_thread(remote.repository.get_commit, "main")
    await asyncio.to_thread(remote.repository.compare, "main~1" if remote.service.live else "main", "main")
    assert not marker.exists()
