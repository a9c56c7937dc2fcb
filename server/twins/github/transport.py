"""Git's smart HTTP: `git http-backend` behind Basic authentication, streaming both ways."""

from __future__ import annotations

import asyncio
import os
import signal
from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from server.twins.github.git import environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from server.twins.github.state import Hub

TRANSFER_LIMIT = 900.0
"""Seconds one fetch or push may take."""
CHUNK = 64 * 1024
_SERVICES = ("git-upload-pack", "git-receive-pack")
GIT_PATHS = ("info/refs", *_SERVICES)
"""All there is under a repository's address: GitHub serves no files of it ("dumb" HTTP)."""


class GitTransport:
    """ASGI endpoint of `/{owner}/{repo}.git/…` and, as GitHub has it, without `.git`.

    Plain ASGI, because a push is read while its answer is already being written.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        service = _service(request)
        repository = self._hub.repository_of_git(request.path_params["owner"], request.path_params["repo"])
        refusal = self._judge(request, service, repository)
        if refusal is not None or repository is None or service is None:
            await (refusal or _not_found())(scope, receive, send)
            return
        folder = self._hub.folder(repository)

        async def finished() -> None:
            if request.method == "POST" and service == "git-receive-pack":
                await self._hub.pushed(repository["id"])

        async with asyncio.timeout(TRANSFER_LIMIT):
            await _run_backend(_cgi(request, service, folder), receive, send, finished)

    def _judge(
        self, request: Request, service: str | None, repository: dict[str, object] | None
    ) -> PlainTextResponse | None:
        """The refusal, if any. A stranger is asked who they are before anything else is said."""
        writing = service == "git-receive-pack"
        if not request.headers.get("authorization"):
            return None if repository and not repository["private"] and not writing else _who_are_you()
        actor = self._hub.actor(_password(request))
        if actor is None:
            return _who_are_you("Invalid username or token.")
        if repository is None or service is None or not actor.sees(repository):
            return _not_found()
        if writing and not actor.may_push(repository):
            return PlainTextResponse("Write access to repository not granted.", 403)
        return None


def _service(request: Request) -> str | None:
    """The git service asked for; None when it is none, or asked for in the wrong way."""
    asked = request.url.path.rpartition("/")[2]
    if request.method == "GET":
        asked = request.query_params.get("service", "") if asked == "refs" else ""
    return asked if asked in _SERVICES else None


def _password(request: Request) -> str:
    """The token: the password of Basic authentication, whatever the user name, or a Bearer token."""
    scheme, _, value = request.headers["authorization"].partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    with suppress(ValueError):  # also bad base64 and bad UTF-8
        user, _, password = b64decode(value).decode().partition(":")
        return password or user
    return ""


def _who_are_you(message: str = "Repository not found.") -> PlainTextResponse:
    return PlainTextResponse(message, 401, {"WWW-Authenticate": 'Basic realm="GitHub"'})


def _not_found() -> PlainTextResponse:
    return PlainTextResponse("Repository not found.", 404)


def _cgi(request: Request, service: str, folder: Path) -> dict[str, str]:
    headers = request.headers
    variables = {
        **environment(),
        "GIT_PROJECT_ROOT": str(folder.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": f"/{folder.name}/{'info/refs' if request.method == 'GET' else service}",
        "QUERY_STRING": request.url.query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_USER": "mk0r",
    }
    for header, variable in (
        ("content-length", "CONTENT_LENGTH"),  # absent for a chunked push: then it reads to the end
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ):
        if header in headers:
            variables[variable] = headers[header]
    return variables


async def _run_backend(
    variables: dict[str, str], receive: Receive, send: Send, finished: Callable[[], Awaitable[None]]
) -> None:
    """Run it; `finished` is awaited before the client can know that the answer is complete."""
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd="/",
        env=variables,
        start_new_session=True,
    )
    feeding = asyncio.create_task(_feed(process, receive))
    try:
        await _answer(process, send, finished)
    finally:
        feeding.cancel()
        if process.returncode is None:
            _kill(process)
        await process.wait()


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
