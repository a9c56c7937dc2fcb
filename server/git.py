"""From the VM to the repository: a bundle comes out, is scanned for every secret we issued, and is pushed.

The VM holds no credential.
"""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import LegError, UserError
from server.vm.repository import BRANCH, LARGEST_BUNDLE, SECONDS, git, git_bytes

if TYPE_CHECKING:
    from server.books.sessions import Session
    from server.secrets import Secret
    from server.vm.repository import Repositories
    from server.vm.sandbox import Sandboxes

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
"""


@dataclass(frozen=True)
class Pushed:
    """`commit` is what the branch now points to; `changed` is False when it already did."""

    commit: str
    branch: str
    changed: bool


class GitPush:
    """Commits what is in `/app` and pushes it to the session's repository."""

    def __init__(self, sandboxes: Sandboxes, repositories: Repositories) -> None:
        self._sandboxes = sandboxes
        self._repositories = repositories

    async def __call__(self, session: Session, sandbox_id: str, message: str, secrets: list[Secret]) -> Pushed:
        repository = session.leg("git").reference.get("full_name")
        if repository is None:
            raise LegError(
                "This session has no repository.", code="no_repository", next_action="Provision `git`, then push."
            )
        bundle = await self._commit(sandbox_id, message)
        try:
            return await self._deliver(repository, bundle, secrets)
        except LegError:
            raise LegError(
                "The repository did not take the push.",
                code="push_failed",
                next_action="Try again in a minute; the commit is safe in the VM.",
                retryable=True,
            ) from None

    async def _commit(self, sandbox_id: str, message: str) -> bytes:
        """Commit inside the VM, where the files are; the message travels as a file, never as shell. The bundle."""
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
        return bundle

    async def _deliver(self, repository: str, bundle: bytes, secrets: list[Secret]) -> Pushed:
        """Scan and push. Which commit it is, our own git says: what runs in the VM may say anything."""
        with tempfile.TemporaryDirectory(prefix="mk0r-push-") as folder:
            clone = Path(folder)
            (clone / "bundle").write_bytes(bundle)
            await git(clone, "init", "-q", "--bare", "repository.git")
            bare = clone / "repository.git"
            fetch = ("fetch", "-q", "--no-tags", str(clone / "bundle"), f"HEAD:refs/heads/{BRANCH}")
            await git(bare, "-c", "fetch.fsckObjects=true", *fetch)
            await _refuse_secrets(bare, secrets)
            commit = (await git(bare, "rev-parse", f"refs/heads/{BRANCH}")).strip()
            return Pushed(commit, BRANCH, changed=await self._repositories.push(bare, repository))


async def _refuse_secrets(bare: Path, secrets: list[Secret]) -> None:
    """Raise `UserError` when any object to be pushed holds a secret in any of its disguises."""
    listed = await git(bare, "rev-list", "--objects", "--all")
    named = (line.partition(" ") for line in listed.splitlines())
    paths = {object_id: path for object_id, _, path in named}
    if env_files := sorted(path for path in paths.values() if path.rsplit("/", 1)[-1] == ".env"):
        raise _leak(env_files[0])
    everything = await git_bytes(bare, "cat-file", "--batch", "--batch-all-objects", "--buffer")
    forms = [form.encode() for secret in secrets for form in secret.disguises()]
    if not any(form in everything for form in forms):
        return
    for object_id, path in paths.items():
        body = await git_bytes(bare, "cat-file", "--batch", stdin=f"{object_id}\n".encode())
        if any(form in body for form in forms):
            raise _leak(path or "a commit message")
    raise _leak("the history")


def _leak(where: str) -> UserError:
    return UserError(
        f"Not pushed: {where} holds a secret of this session.",
        code="secret_in_commit",
        next_action="Read it from process.env instead. If it is already committed, amend that commit, then push again.",
    )
