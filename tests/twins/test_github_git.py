"""Real git against the GitHub twin: clone, push, and who is turned away."""

from __future__ import annotations

import asyncio
import gzip
import os
from base64 import b64encode
from typing import TYPE_CHECKING

import httpx
import pytest

from server.secrets import Secret
from server.twins.core import Site
from server.twins.core.serve import bind, serving
from server.twins.github import build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "ghp_operator"
ADMIN = {"Authorization": "Bearer admin-token"}
WHO = {"NAME": "Ann", "EMAIL": "ann@example.com"}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in WHO.items()},
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    sockets = bind()
    base = f"http://localhost:{sockets[0].getsockname()[1]}"
    (tmp_path / "twin").mkdir()
    site = Site("github", base, tmp_path / "twin", Secret(TOKEN), Secret("admin-token"))
    async with (
        serving(build(site), sockets, drain=1),
        httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10) as client,
    ):
        await client.post("/user/repos", json={"name": "mk0r-abc", "private": True})
        yield client


def remote(client: httpx.AsyncClient, token: str = TOKEN, path: str = "mk0r/mk0r-abc.git") -> str:
    return f"http://x-access-token:{token}@localhost:{client.base_url.port}/{path}"


async def git(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and everything said."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=folder, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def a_work_tree(folder: Path, content: bytes = b"hello\n", branch: str = "main") -> Path:
    work = folder / "work"
    work.mkdir()
    await git(work, "init", "--quiet", f"--initial-branch={branch}")
    (work / "app.txt").write_bytes(content)
    await git(work, "add", ".")
    assert (await git(work, "commit", "--quiet", "-m", "First\n\nWith a body"))[0] == 0
    return work


async def test_what_is_pushed_can_be_cloned_and_listed(client: httpx.AsyncClient, tmp_path: Path) -> None:
    work = await a_work_tree(tmp_path)
    assert (await git(work, "push", remote(client), "main"))[0] == 0
    (commit,) = (await client.get("/repos/mk0r/mk0r-abc/commits")).json()
    assert commit["commit"]["author"]["name"] == "Ann"
    assert commit["commit"]["message"] == "First\n\nWith a body"
    assert (await client.get("/repos/mk0r/mk0r-abc/contents/app.txt")).json()["size"] == 6
    code, said = await git(tmp_path, "clone", "--quiet", remote(client, path="mk0r/mk0r-abc"), "copy")
    assert code == 0, said
    assert (tmp_path / "copy" / "app.txt").read_text() == "hello\n"


async def test_a_push_larger_than_gits_buffer_comes_in_chunks(client: httpx.AsyncClient, tmp_path: Path) -> None:
    work = await a_work_tree(tmp_path, os.urandom(5_000_000))
    code, said = await git(work, "-c", "http.postBuffer=65536", "push", remote(client), "main")
    assert code == 0, said
    assert (await git(tmp_path, "clone", "--quiet", remote(client), "copy"))[0] == 0
    assert (tmp_path / "copy" / "app.txt").stat().st_size == 5_000_000


async def test_a_gzipped_request_is_understood(client: httpx.AsyncClient, tmp_path: Path) -> None:
    work = await a_work_tree(tmp_path)
    await git(work, "push", remote(client), "main")
    asked = gzip.compress(b"0014command=ls-refs\n00010000")
    answer = await client.post(
        "/mk0r/mk0r-abc.git/git-upload-pack",
        content=asked,
        headers={
            "Content-Encoding": "gzip",
            "Content-Type": "application/x-git-upload-pack-request",
            "Git-Protocol": "version=2",
        },
    )
    assert answer.status_code == 200
    assert b"refs/heads/main" in answer.content


async def test_git_is_asked_who_it_is_before_anything_else(client: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=client.base_url) as nobody:
        for path in ("mk0r/mk0r-abc.git", "mk0r/nothing.git"):
            answer = await nobody.get(f"/{path}/info/refs?service=git-receive-pack")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="GitHub"'
        basic = b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        for path in ("mk0r/nothing.git/info/refs?service=git-upload-pack", "mk0r/mk0r-abc.git/info/refs"):
            assert (await nobody.get(f"/{path}", headers={"Authorization": f"Basic {basic}"})).status_code == 404
        assert (await nobody.get("/mk0r/mk0r-abc.git/HEAD")).status_code == 404


async def test_a_token_pushes_only_where_and_while_it_may(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async def lent(*repositories: str, until: str = "2100-01-01T00:00:00+00:00", writes: bool = True) -> str:
        permissions = {"contents": "write" if writes else "read"}
        asked = {"repositories": repositories, "expires_at": until, "permissions": permissions}
        return (await client.post("/_twin/tokens", json=asked, headers=ADMIN)).json()["token"]

    work = await a_work_tree(tmp_path)
    refused = {
        "ghp_wrong": "Authentication failed",
        await lent("mk0r/other"): "not found",
        await lent("mk0r/mk0r-abc", writes=False): "403",
        await lent("mk0r/mk0r-abc", until="2020-01-01T00:00:00+00:00"): "Authentication failed",
    }
    for token, said in refused.items():
        code, output = await git(work, "push", remote(client, token), "main")
        assert code != 0
        assert said in output
    assert (await client.get("/repos/mk0r/mk0r-abc/branches")).json() == []
    assert (await git(work, "push", remote(client, await lent("mk0r/mk0r-abc")), "main"))[0] == 0


async def test_the_first_branch_pushed_becomes_the_default(client: httpx.AsyncClient, tmp_path: Path) -> None:
    work = await a_work_tree(tmp_path, branch="trunk")
    await git(work, "push", remote(client), "trunk")
    assert (await client.get("/repos/mk0r/mk0r-abc")).json()["default_branch"] == "trunk"


async def test_a_hook_in_a_repository_never_runs(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (repository,) = (tmp_path / "twin" / "repositories").glob("*.git")
    (repository / "hooks").mkdir(exist_ok=True)
    for name in ("pre-receive", "post-receive", "update"):
        hook = repository / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    work = await a_work_tree(tmp_path)
    assert (await git(work, "push", remote(client), "main"))[0] == 0
    assert not (tmp_path / "ran").exists()


async def test_a_push_whose_answer_is_lost_has_happened(client: httpx.AsyncClient, tmp_path: Path) -> None:
    fault = {"method": "POST", "path": ".*/git-receive-pack", "lose_answer": True, "times": 1}
    await client.post("/_twin/faults", json=fault, headers=ADMIN)
    work = await a_work_tree(tmp_path)
    assert (await git(work, "push", remote(client), "main"))[0] != 0
    assert len((await client.get("/repos/mk0r/mk0r-abc/branches")).json()) == 1
    code, said = await git(work, "push", remote(client), "main")
    assert (code, "up-to-date" in said) == (0, True)
