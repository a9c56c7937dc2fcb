"""`git http-backend`, run as a CGI program that streams both ways."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Send

    from server.twins.github.git import BareRepository

TRANSFER_LIMIT = 900.0
"""Seconds one fetch or push may take."""
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Backend:
    """One repository, and what git is told beyond the usual."""

    repository: BareRepository
    settings: Mapping[str, str]
    variables: Mapping[str, str]

    async def run(
        self, request: Request, service: str, receive: Receive, send: Send, finished: Callable[[], Awaitable[None]]
    ) -> None:
        """`finished` is awaited before the client can know that the answer is complete."""
        cgi = self._cgi(request, service)
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            **self.repository.git.spawn(self.settings, **self.variables, **cgi),
        )
        feeding = asyncio.create_task(_feed(process, receive))
        try:
            async with asyncio.timeout(TRANSFER_LIMIT):
                await _answer(process, send, finished)
        finally:
            feeding.cancel()
            if process.returncode is None:
                _kill(process)
            await process.wait()

    def _cgi(self, request: Request, service: str) -> dict[str, str]:
        folder, headers = self.repository.folder, request.headers
        variables = {
            "GIT_PROJECT_ROOT": str(folder.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{folder.name}/{'info/refs' if request.method == 'GET' else service}",
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": "git",
        }
        for header, variable in (
            ("content-length", "CONTENT_LENGTH"),  # absent for a chunked push: then it reads to the end
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ):
            if header in headers:
                variables[variable] = headers[header]
        return variables


async def _feed(process: asyncio.subprocess.Process, receive: Receive) -> None:
    """The request body to the process; a client that hangs up ends the process."""
    assert process.stdin is not None  # noqa: S101 - asked for a pipe
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            _kill(process)
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # it has read all it wants
            process.stdin.write(message.get("body", b""))
            await process.stdin.drain()
        if not message.get("more_body"):
            process.stdin.close()


async def _answer(process: asyncio.subprocess.Process, send: Send, finished: Callable[[], Awaitable[None]]) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for a pipe
    try:
        head = await process.stdout.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        head = b"Status: 500 Internal Server Error\r\n\r\n"
    status, headers = 200, list[tuple[bytes, bytes]]()
    for line in head.strip().split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.lower(), value))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    while chunk := await process.stdout.read(CHUNK):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await process.wait()
    await finished()
    await send({"type": "http.response.body", "body": b""})


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
