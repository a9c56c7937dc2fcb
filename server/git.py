"""From the VM to the repository: a bundle comes out, is scanned for every secret we issued, and is pushed.

The VM holds no credential, and nothing the VM wrote is run here: no hooks, no configuration, no submodules.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import LegError, UserError

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.sessions import Session
    from server.vm.sandbox import Sandboxes

BRANCH = "main"
LARGEST_BUNDLE = 100 * 2**20
SECONDS = 60
BUNDLE = "mk0r-push.bundle"
MESSAGE = "mk0r-commit-message"
COMMIT = f"""
set -e
out=${{TMPDIR:-/tmp}}
test -d .git || git init -q -b {BRANCH}
git config core.hooksPath /dev/null
git add -A
git diff --cached --quiet || git -c user.name=mk0r -c user.email=app@mk0r.invalid commit -q -F "$out/{MESSAGE}"
git bundle create -q "$out/{BUNDLE}" HEAD
git rev-parse HEAD
"""


@dataclass(frozen=True)
class Pushed:
    """`commit` is what the branch now points to; `changed` is False when it already did."""

    commit: str
    branch: str
    changed: bool


class GitPush:
    """Commits what is in `/app` and pushes it to the session's repository."""

    def __init__(self, sandboxes: Sandboxes, git_url: str, token: Secret | None) -> None:
        self._sandboxes = sandboxes
        self._git_url = git_url.rstrip("/")
        self._token = token

    async def __call__(self, session: Session, message: str, secrets: list[Secret]) -> Pushed:
        repository = session.leg("git").reference.get("full_name")
        if repository is None or self._token is None:
            raise LegError(
                "This session has no repository.", code="no_repository", next_action="Provision `git`, then push."
            )
        if session.sandbox_id is None:
            raise LegError("This session has no VM.", code="no_vm", next_action="Provision the vm first.")
        commit, bundle = await self._commit(session.sandbox_id, message)
        with tempfile.TemporaryDirectory(prefix="mk0r-push-") as folder:
            clone = Path(folder)
            (clone / "bundle").write_bytes(bundle)
            await _git(clone, "init", "-q", "--bare", "repository.git")
            bare = clone / "repository.git"
            fetch = ("fetch", "-q", "--no-tags", str(clone / "bundle"), f"HEAD:refs/heads/{BRANCH}")
            await _git(bare, "-c", "fetch.fsckObjects=true", *fetch)
            await _refuse_secrets(bare, secrets)
            said = await self._push(bare, f"{self._git_url}/{repository}.git", self._token)
        return Pushed(commit, BRANCH, "[up to date]" not in said)

    async def _commit(self, sandbox_id: str, message: str) -> tuple[str, bytes]:
        """Commit inside the VM, where the files are; the message travels as a file, never as shell."""
        await self._sandboxes.write(sandbox_id, {f"/tmp/{MESSAGE}": message.strip() or "Save the work"})
        result = await self._sandboxes.run(sandbox_id, f"bash -c {shlex.quote(COMMIT)}", seconds=SECONDS)
        if result.exit_code != 0:
            raise UserError(
                "The work could not be committed.",
                next_action="Run `git status` in /app with run_in_vm and mend what it says.",
                code="commit_failed",
            )
        bundle = await self._sandboxes.read(sandbox_id, f"/tmp/{BUNDLE}")
        if len(bundle) > LARGEST_BUNDLE:
            raise UserError(
                "The repository is too large to push.",
                next_action="Remove large files from /app and from its history, or list them in .gitignore.",
                code="too_large",
            )
        return result.stdout.strip().splitlines()[-1], bundle

    async def _push(self, bare: Path, url: str, token: Secret) -> str:
        """The credential travels in the environment: an argument could be read by any process."""
        basic = b64encode(f"x-access-token:{token.reveal()}".encode()).decode()
        header = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
        return await _git(bare, "push", "--porcelain", url, f"{BRANCH}:{BRANCH}", environment=header)


async def _refuse_secrets(bare: Path, secrets: list[Secret]) -> None:
    """Raise `UserError` when any object to be pushed holds a secret in any of its disguises."""
    listed = await _git(bare, "rev-list", "--objects", "--all")
    named = (line.partition(" ") for line in listed.splitlines())
    paths = {object_id: path for object_id, _, path in named}
    if env_files := sorted(path for path in paths.values() if path.rsplit("/", 1)[-1] == ".env"):
        raise _leak(env_files[0])
    everything = await _git_bytes(bare, "cat-file", "--batch", "--batch-all-objects", "--buffer")
    forms = [form.encode() for secret in secrets for form in secret.disguises()]
    if not any(form in everything for form in forms):
        return
    for object_id, path in paths.items():
        body = await _git_bytes(bare, "cat-file", "--batch", stdin=f"{object_id}\n".encode())
        if any(form in body for form in forms):
            raise _leak(path or "a commit message")
    raise _leak("the history")


def _leak(where: str) -> UserError:
    return UserError(
        f"Not pushed: {where} holds a secret of this session.",
        code="secret_in_commit",
        next_action="Read it from process.env instead. If it is already committed, amend that commit, then push again.",
    )


async def _git(folder: Path, *args: str, environment: dict[str, str] | None = None) -> str:
    return (await _git_bytes(folder, *args, environment=environment)).decode(errors="replace")


async def _git_bytes(
    folder: Path, *args: str, environment: dict[str, str] | None = None, stdin: bytes | None = None
) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "git",
        *args,
        cwd=folder,
        env={**_CLEAN, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), **_certificates(), **(environment or {})},
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate(stdin)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise _push_failed() from None
    if process.returncode != 0:
        raise _push_failed()
    return out


def _push_failed() -> LegError:
    return LegError(
        "The repository did not take the push.",
        code="push_failed",
        next_action="Try again in a minute; the commit is safe in the VM.",
        retryable=True,
    )


_CLEAN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "http:https:file",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
}


def _certificates() -> dict[str, str]:
    """Where this machine keeps its certificate authorities, if it says so."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
    return {name: os.environ[name] for name in names if name in os.environ}
