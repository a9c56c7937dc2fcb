"""The sessions' repositories, and git in a process of its own that heeds nobody's settings.

Nothing a VM wrote is run here: no hooks, no configuration, no submodules.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from typing import TYPE_CHECKING

from server.errors import LegError

if TYPE_CHECKING:
    from pathlib import Path

    from server.secrets import Secret

BRANCH = "main"
LARGEST_BUNDLE = 100 * 2**20
SECONDS = 60


class Repositories:
    """Pushes to them and fetches from them, by full name, with the operator's credential."""

    def __init__(self, git_url: str, token: Secret | None) -> None:
        self._git_url = git_url.rstrip("/")
        self._token = token

    async def push(self, bare: Path, name: str) -> bool:
        """Push the branch of `bare`; False when the repository had it already."""
        told = await git(bare, "push", "--porcelain", self._url(name), f"{BRANCH}:{BRANCH}", environment=self._header())
        return "[up to date]" not in told

    async def fetch(self, bare: Path, name: str) -> str | None:
        """Fetch the branch into `bare`; its commit, or None while nothing was ever pushed."""
        url, header = self._url(name), self._header()
        told = await git(bare, "ls-remote", "--heads", url, f"refs/heads/{BRANCH}", environment=header)
        if not told.strip():
            return None
        branch = f"+refs/heads/{BRANCH}:refs/heads/{BRANCH}"
        await git(bare, "-c", "fetch.fsckObjects=true", "fetch", "-q", "--no-tags", url, branch, environment=header)
        return (await git(bare, "rev-parse", BRANCH)).strip()

    def _url(self, name: str) -> str:
        return f"{self._git_url}/{name}.git"

    def _header(self) -> dict[str, str]:
        """The credential travels in the environment: an argument could be read by any process."""
        if self._token is None:
            raise LegError("There is no credential for git.", code="no_credential", next_action="Set GITHUB_TOKEN.")
        basic = b64encode(f"x-access-token:{self._token.reveal()}".encode()).decode()
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }


async def git(folder: Path, *args: str, environment: dict[str, str] | None = None) -> str:
    return (await git_bytes(folder, *args, environment=environment)).decode(errors="replace")


async def git_bytes(
    folder: Path, *args: str, environment: dict[str, str] | None = None, stdin: bytes | None = None
) -> bytes:
    """What it prints. Raises `LegError` when it fails or takes longer than a minute."""
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
        raise _git_failed() from None
    finally:
        if process.returncode is None:  # out of time, here or in whoever waits for this
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _git_failed()
    return out


def _git_failed() -> LegError:
    return LegError("git did not succeed.", code="git_failed", next_action="Try again in a minute.", retryable=True)


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
