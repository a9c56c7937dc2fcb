"""Running git: as whom, with which settings, for how long."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.local.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GIT_USER = 61185
"""An id no system package hands out, apart from the database's and the sandboxes': none may touch another's files."""
COMMAND_LIMIT = 60.0
"""Seconds a plain git command may take."""
AT_ONCE = 8
"""Plain commands running side by side; the others wait their turn."""

_SETTINGS = {
    "safe.directory": "*",
    "core.bigFileThreshold": "20m",
    "core.logAllRefUpdates": "false",
    "http.receivepack": "true",
    "http.getanyfile": "false",
    "receive.fsckObjects": "true",
    "receive.maxInputSize": "2g",
    "receive.autogc": "false",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowTipSHA1InWant": "true",
    "uploadpack.allowReachableSHA1InWant": "true",
    "gc.auto": "0",
    "pack.threads": "1",
}


def git_identity() -> Identity:
    """Whom git runs as: whoever reads what strangers push is not root."""
    return Identity(GIT_USER, GIT_USER) if os.geteuid() == 0 else Identity()


class GitError(Exception):
    """A git command failed."""


@dataclass(frozen=True)
class Git:
    """How git is run: by whom, and with which folder of our own hooks (the ones in a repository never run)."""

    hooks: Path | None = None
    identity: Identity = field(default_factory=Identity)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def environment(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """For every git process: nothing of ours, of the machine's or of a repository's configuration counts."""
        hooks = {"core.hooksPath": str(self.hooks) if self.hooks else os.devnull}
        pairs = {**_SETTINGS, **hooks, **(settings or {})}
        named = {
            f"GIT_CONFIG_{part}_{index}": text
            for index, pair in enumerate(pairs.items())
            for part, text in zip(("KEY", "VALUE"), pair, strict=True)
        }
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_CONFIG_COUNT": str(len(pairs)),
            **named,
        }

    def spawn(self, settings: Mapping[str, str] | None = None, **variables: str) -> dict[str, Any]:
        """Keyword arguments for `asyncio.create_subprocess_exec`."""
        return {
            "cwd": "/",
            "env": {**self.environment(settings), **variables},
            "start_new_session": True,
            **self.identity.spawn(),
        }

    async def run(self, *arguments: str, send: bytes = b"", **variables: str) -> bytes:
        """What the command says. Raises `GitError` when it fails."""
        async with self._turns:
            process = await asyncio.create_subprocess_exec(
                "git",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                **self.spawn(None, **variables),
            )
            try:
                async with asyncio.timeout(COMMAND_LIMIT):
                    output, complaint = await process.communicate(send)
            except BaseException:
                if process.returncode is None:
                    process.kill()
                raise
        if process.returncode != 0:
            raise GitError(f"git {arguments[0]} failed: {complaint.decode(errors='replace').strip()}")
        return output
