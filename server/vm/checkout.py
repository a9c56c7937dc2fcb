"""From the repository to the VM: what was pushed comes back into one that begins anew.

The VM holds no credential, so the server fetches, and a bundle goes in.
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import LegError
from server.vm.repository import BRANCH, LARGEST_BUNDLE, git

if TYPE_CHECKING:
    from server.books.sessions import Session
    from server.vm.repository import Repositories
    from server.vm.sandbox import Sandboxes

BUNDLE = "mk0r-restore.bundle"
SECONDS = 30
PACKAGES_SECONDS = 240
WANTED = "node_modules/.mk0r-packages-wanted"
# Only into an app nobody has touched: one commit and nothing besides. An interrupted checkout leaves its own mark.
RESTORE = f"""
set -e
bundle=${{TMPDIR:-/tmp}}/{BUNDLE}
git config core.hooksPath /dev/null
untouched() {{ test "$(git rev-list --count HEAD)" = 1 && test -z "$(git status --porcelain)"; }}
if git rev-parse -q --verify refs/mk0r/restoring >/dev/null || untouched; then
  git fetch -q "$bundle" +{BRANCH}:refs/mk0r/restoring
  git diff --quiet HEAD refs/mk0r/restoring -- package.json package-lock.json || : > {WANTED}
  rm -f .git/index.lock
  git checkout -q -f -B {BRANCH} refs/mk0r/restoring
  git update-ref -d refs/mk0r/restoring
fi
rm -f "$bundle"
git rev-parse HEAD
"""
PACKAGES = f"test ! -e {WANTED} || {{ npm install --no-audit --no-fund --prefer-offline && rm -f {WANTED}; }}"


class Checkout:
    """Puts the session's pushed code into a VM's `/app`."""

    def __init__(self, sandboxes: Sandboxes, repositories: Repositories) -> None:
        self._sandboxes = sandboxes
        self._repositories = repositories

    async def bring(self, session: Session, sandbox_id: str) -> str | None:
        """The commit that is in the VM now; None where nothing was ever pushed. May be done twice.

        Raises `LegError` when the repository cannot be had: a VM without its code would look like one.
        """
        git_leg = session.leg("git")
        bundle = await self._bundle(git_leg.reference["full_name"]) if git_leg.stands else None
        if bundle is None:
            return None
        await self._sandboxes.write(sandbox_id, {f"/tmp/{BUNDLE}": bundle})
        done = await self._sandboxes.run(sandbox_id, f"bash -c {shlex.quote(RESTORE)}", seconds=SECONDS)
        if done.exit_code != 0:
            raise _not_restored("The code could not be checked out in the new VM.")
        return done.stdout.strip().splitlines()[-1]

    async def install(self, sandbox_id: str) -> bool:
        """Install what the code wants besides the image's packages; False when that did not succeed."""
        done = await self._sandboxes.run(sandbox_id, f"bash -c {shlex.quote(PACKAGES)}", seconds=PACKAGES_SECONDS)
        return done.exit_code == 0

    async def _bundle(self, repository: str) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="mk0r-restore-") as folder:
            bare, bundle = Path(folder) / "repository.git", Path(folder) / "bundle"
            try:
                await git(Path(folder), "init", "-q", "--bare", bare.name)
                if await self._repositories.fetch(bare, repository) is None:
                    return None
                await git(bare, "bundle", "create", "-q", str(bundle), BRANCH)
            except LegError:
                raise _not_restored("The session's repository could not be read.") from None
            if bundle.stat().st_size > LARGEST_BUNDLE:
                raise _not_restored("The session's repository is too large to be brought into a VM.")
            return bundle.read_bytes()


def _not_restored(message: str) -> LegError:
    return LegError(
        message,
        code="not_restored",
        next_action="Provision the vm again in a minute: the database, keys and repository are kept.",
        retryable=True,
    )
