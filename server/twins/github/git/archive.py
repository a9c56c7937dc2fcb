"""A commit's files as one archive, streamed while git packs them."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from server.twins.github.git.repository import BareRepository

FORMATS = {"tar.gz": "application/x-gzip", "zip": "application/zip"}
CHUNK = 64 * 1024
LIMIT = 300.0
"""Seconds one download may take."""


async def archive(repository: BareRepository, commit: str, kind: str, prefix: str) -> AsyncGenerator[bytes]:
    """Every file under the folder `prefix`."""
    arguments = ("archive", f"--format={kind}", f"--prefix={prefix}/", commit)
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        **repository.git.spawn(GIT_DIR=str(repository.folder)),
    )
    assert process.stdout is not None  # noqa: S101 - asked for a pipe
    try:
        async with asyncio.timeout(LIMIT):
            while chunk := await process.stdout.read(CHUNK):
                yield chunk
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
