"""envd's `/files`: whole files in and out of a sandbox."""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import os
import posixpath
import zlib
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.twins.e2b.errors import FileTrouble, as_wire, wire
from server.twins.e2b.filesystem import absolute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request

    from server.twins.e2b.guest import Guest

CHUNK = 256 << 10
UPLOAD_LIMIT = 2 << 30
"""Bytes of one upload, as many as a sandbox's own processes may write to one file."""


def routes(find: Callable[[Request], Awaitable[Guest]]) -> list[Route]:
    """`find` gives a request's sandbox, or raises what envd or the proxy before it would answer."""

    async def download(request: Request) -> Response:
        guest = await find(request)
        path = request.query_params.get("path", "")
        try:
            about, (opened,) = await guest.call("open_to_read", path=absolute(path))
        except FileTrouble as trouble:
            raise as_wire(trouble, path) from None
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        name = posixpath.basename(path).replace('"', "").encode("ascii", "replace").decode()
        headers = {"content-disposition": f'inline; filename="{name}"'}
        if about["size"] <= CHUNK:
            with os.fdopen(opened, "rb") as file:
                return Response(file.read(UPLOAD_LIMIT), media_type=kind, headers=headers)
        return StreamingResponse(_stream(opened), media_type=kind, headers=headers)

    async def upload(request: Request) -> Response:
        guest = await find(request)
        written: list[dict[str, str]] = []
        for path, data in await _contents(request):
            try:
                about, (opened,) = await guest.call("open_to_write", path=absolute(path))
            except FileTrouble as trouble:
                raise as_wire(trouble, path) from None
            try:
                await asyncio.to_thread(_write_out, opened, data)
            except OSError as error:
                raise wire(507, "not enough disk space available") from error
            written.append({"name": about["name"], "type": "file", "path": about["path"]})
        return JSONResponse(written)

    return [
        Route("/files", download, methods=["GET"]),
        Route("/files", upload, methods=["POST"]),
    ]


async def _stream(opened: int) -> AsyncGenerator[bytes]:
    with os.fdopen(opened, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def _write_out(opened: int, data: bytes) -> None:
    with os.fdopen(opened, "wb") as file:
        file.write(data)


async def _contents(request: Request) -> list[tuple[str, bytes]]:
    """Each file's path and bytes: form parts named `file`, or the body itself."""
    path = request.query_params.get("path")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        if not path:
            raise wire(400, "path is required")
        return [(path, _unpacked(await _body(request), request.headers.get("content-encoding", "")))]
    form = await request.form(max_files=1000)
    parts: list[Any] = [part for name, part in form.multi_items() if name == "file" and isinstance(part, UploadFile)]
    if path and len(parts) > 1:
        raise wire(400, "path can only be given with a single file")
    return [(path or part.filename or "", await part.read()) for part in parts]


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > UPLOAD_LIMIT:
            raise wire(507, "not enough disk space available")
    return bytes(data)


def _unpacked(data: bytes, encoding: str) -> bytes:
    if encoding != "gzip":
        return data
    try:
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(data, UPLOAD_LIMIT)
    except (zlib.error, gzip.BadGzipFile):
        raise wire(400, "the body is not gzip") from None
    if unpacker.unconsumed_tail:
        raise wire(507, "not enough disk space available")
    return plain
