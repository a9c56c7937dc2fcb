"""envd's `/files`: whole files in and out of a sandbox."""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import os
import posixpath
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.twins.e2b import upload
from server.twins.e2b.errors import FileTrouble, as_wire, wire
from server.twins.e2b.filesystem import absolute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request

    from server.twins.e2b.machine import Machine
    from server.twins.e2b.signature import Operation

    Find = Callable[[Request, Operation], Awaitable[Machine]]

CHUNK = 256 << 10


def routes(find: Find) -> list[Route]:
    """`find` gives a request's sandbox, or raises what envd or the proxy before it would answer."""

    async def download(request: Request) -> Response:
        machine = await find(request, "read")
        path = absolute(request.query_params.get("path", ""), machine.record.workdir)
        try:
            about, (opened,) = await machine.guest.call("open_to_read", path=path)
        except FileTrouble as trouble:
            raise as_wire(trouble, path) from None
        return await _answer(request, path, about["size"], opened)

    async def receive(request: Request) -> Response:
        machine = await find(request, "write")
        return JSONResponse(await upload.receive(request, machine))

    async def compose(request: Request) -> Response:
        machine = await find(request, "write")
        asked = await request.json()
        workdir = machine.record.workdir
        try:
            sources = [absolute(str(path), workdir) for path in asked["source_paths"]]
            target = absolute(str(asked["destination"]), workdir)
        except (KeyError, TypeError):
            raise wire(400, "source_paths and destination are required") from None
        try:
            described, _ = await machine.guest.call("compose", sources=sources, destination=target)
        except FileTrouble as trouble:
            raise as_wire(trouble, str(trouble)) from None
        return JSONResponse({"name": described["name"], "type": "file", "path": described["path"]})

    return [
        Route("/files", download, methods=["GET"]),
        Route("/files", receive, methods=["POST"]),
        Route("/files/compose", compose, methods=["POST"]),
    ]


async def _answer(request: Request, path: str, size: int, opened: int) -> Response:
    headers = {
        "content-disposition": f'inline; filename="{_plain(posixpath.basename(path))}"',
        "accept-ranges": "bytes",
    }
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    encodings = [each.split(";")[0].strip() for each in request.headers.get("accept-encoding", "").split(",")]
    if encodings == ["gzip"]:  # asked for outright: the SDK's `gzip=True`
        packed = await asyncio.to_thread(_packed, opened)
        return Response(packed, media_type=kind, headers={**headers, "content-encoding": "gzip"})
    try:
        start, end = _range(request.headers.get("range", ""), size)
    except ValueError:
        os.close(opened)
        raise wire(416, "the range is not within the file") from None
    status = 200
    if (start, end) != (0, size) or request.headers.get("range"):
        status, headers["content-range"] = 206, f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    return StreamingResponse(_stream(opened, start, end), status, headers, media_type=kind)


def _packed(opened: int) -> bytes:
    with os.fdopen(opened, "rb") as file:
        return gzip.compress(file.read(upload.LIMIT), 1)


def _plain(name: str) -> str:
    return name.replace('"', "").encode("ascii", "replace").decode()


def _range(header: str, size: int) -> tuple[int, int]:
    """What part is asked for, its end not in it. Raises `ValueError` for one that is not there."""
    unit, _, wanted = header.partition("=")
    first, dash, last = wanted.partition("-")
    if unit.strip() != "bytes" or not dash or "," in wanted:
        return 0, size
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise ValueError(header)
    return start, end


async def _stream(opened: int, start: int, end: int) -> AsyncGenerator[bytes]:
    with os.fdopen(opened, "rb") as file:
        file.seek(start)
        left = end - start
        while left and (chunk := await asyncio.to_thread(file.read, min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
