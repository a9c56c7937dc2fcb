"""envd's `POST /files`: the body itself or form parts, packed or not, straight into the sandbox's files."""

from __future__ import annotations

import asyncio
import os
import zlib
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from server.twins.e2b.errors import FileTrouble, as_wire, wire
from server.twins.e2b.filesystem import absolute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from server.twins.e2b.machine import Machine

LIMIT = 2 << 30
"""Bytes of one file, as many as a sandbox's own processes may write to one."""

CHUNK = 256 << 10
PARTS_LIMIT = 1000
KEY_LIMIT = 246
METADATA_LIMIT = 4096
PREFIX = "x-metadata-"


async def receive(request: Request, machine: Machine) -> list[dict[str, Any]]:
    """Write what a request carries; what envd answers of each file."""
    metadata = _metadata(request)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    path = request.query_params.get("path")
    if kind == "application/octet-stream":
        if not path:
            raise wire(400, "path query parameter is required for raw body upload")
        return [await _write(machine, absolute(path, machine.record.workdir), _body(request), metadata)]
    if not kind.startswith("multipart/"):
        said = f"unsupported content type: {kind}, expected multipart/form-data or application/octet-stream"
        raise wire(400, said)
    return await _parts(request, machine, path, metadata)


async def _parts(
    request: Request, machine: Machine, path: str | None, metadata: dict[str, str]
) -> list[dict[str, Any]]:
    try:
        form = await request.form(max_files=PARTS_LIMIT)
    except MultiPartException as error:
        raise wire(400, f"error reading form: {error.message}") from None
    written: list[dict[str, Any]] = []
    for name, part in form.multi_items():
        if name != "file" or not isinstance(part, UploadFile):
            continue
        target = absolute(path or part.filename or "", machine.record.workdir)
        if target in [each["path"] for each in written]:
            raise wire(400, f"you cannot upload multiple files to the same path '{target}' in one upload request")
        written.append(await _write(machine, target, _chunks(part), metadata))
    return written


async def _write(
    machine: Machine, path: str, content: AsyncIterator[bytes], metadata: dict[str, str]
) -> dict[str, Any]:
    try:
        about, (opened,) = await machine.guest.call("open_to_write", path=path)
    except FileTrouble as trouble:
        raise as_wire(trouble, path) from None
    with os.fdopen(opened, "wb", 0) as file:
        total = 0
        async for chunk in content:
            total += len(chunk)
            if total > LIMIT:
                raise wire(507, "not enough disk space available")
            try:
                await asyncio.to_thread(_all_of, file, chunk)
            except OSError as error:
                raise wire(507, "not enough disk space available") from error
        file.truncate(total)
    if metadata or about["metadata"]:
        try:
            await machine.guest.call("set_metadata", path=path, metadata=metadata)
        except FileTrouble as trouble:
            raise wire(500, f"error setting metadata: {trouble.name}") from None
    extra = {"metadata": metadata} if metadata else {}
    return {"name": about["name"], "type": "file", "path": about["path"], **extra}


def _all_of(file: Any, chunk: bytes) -> None:
    waiting = memoryview(chunk)
    while waiting:
        waiting = waiting[file.write(waiting) :]


async def _chunks(part: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await part.read(CHUNK):
        yield chunk


async def _body(request: Request) -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise wire(400, f"unsupported content encoding: {encoding}")
    unpacker = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    waiting = b""
    async for chunk in request.stream():
        if unpacker is None:
            waiting += chunk
            if len(waiting) >= CHUNK:  # fewer, larger writes
                yield waiting
                waiting = b""
            continue
        packed = chunk
        while packed:
            try:
                yield unpacker.decompress(packed, CHUNK)
            except zlib.error:
                raise wire(400, "error decompressing request body: the body is not gzip") from None
            packed = unpacker.unconsumed_tail
    if unpacker is not None and not unpacker.eof:
        raise wire(400, "error decompressing request body: unexpected EOF")
    if waiting:
        yield waiting


def _metadata(request: Request) -> dict[str, str]:
    """The `X-Metadata-*` headers: printable ASCII, keys of 246 bytes at most, 4096 bytes in all (envd's API)."""
    found: dict[str, str] = {}
    for raw, value in request.headers.raw:
        name = raw.decode("latin-1").lower()
        if name.startswith(PREFIX):
            found.setdefault(name.removeprefix(PREFIX), value.decode("latin-1"))
    for key, value in found.items():
        if not key or not _printable(key + value) or len(key) > KEY_LIMIT:
            raise wire(400, f"invalid metadata key or value for '{key}'")
    if sum(len(key) + len(value) + len("user.e2b.") for key, value in found.items()) > METADATA_LIMIT:
        raise wire(400, "metadata is too large")
    return found


def _printable(text: str) -> bool:
    return all(" " <= letter <= "~" for letter in text)
