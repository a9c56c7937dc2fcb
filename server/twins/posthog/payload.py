"""Taking a request apart: PostHog's SDKs compress and wrap in more ways than their headers say.

Sources: PostHog's capture service (`payload/common.rs`, `v0_request.rs`), posthog-js 1.449 `request.js`.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from server.twins.posthog import errors, lz64
from server.twins.posthog.json_text import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

LARGEST_BODY = 20 * 1024 * 1024
LARGEST_PAYLOAD = 25 * 1024 * 1024
"""Bytes a body may have once it is decompressed."""

_GZIP_MAGIC = b"\x1f\x8b\x08"
_ANY_ZLIB_FORM = zlib.MAX_WBITS | 32  # gzip or zlib, by its own header
_FORM = "application/x-www-form-urlencoded"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{4,}={0,2}")
_GZIP_NAMES, _LZ_NAMES = ("gzip", "gzip-js"), ("lz64", "lz-string")


async def received(request: Request, limit: int = LARGEST_BODY) -> bytes:
    """The whole body. Raises a 413 where it is larger than `limit`, having read no more."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise errors.too_big(f"Request body exceeds {limit} bytes")
    return bytes(body)


def read(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], limit: int = LARGEST_PAYLOAD) -> Any:
    """The JSON inside, at most `limit` bytes of it.

    posthog-js sends gzip as `text/plain` without saying so; `sendBeacon` a form with base64 in it; older ones
    LZ-string and `GET ?data=`.
    """
    raw = query.get("data", "").encode() or raw
    if not raw:
        raise errors.empty_payload()
    compression = query.get("compression") or headers.get("content-encoding", "")
    form = headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    if form or raw.startswith(b"data="):
        raw, named = _form(raw)
        compression = named or compression
    return _json(_plain(raw, compression.lower(), limit))


def _plain(raw: bytes, compression: str, limit: int) -> bytes:
    """Without compression or base64, in whatever order they were applied."""
    if compression in _LZ_NAMES:
        raw = lz64.decompress(raw.decode("ascii", "replace"), limit).encode()
    else:
        raw = inflate(_unwrapped(raw), compression, limit)
    if len(raw) > limit:
        raise errors.too_big(f"Uncompressed payload size limit {limit} exceeded: {len(raw)}")
    return _unwrapped(raw)


def inflate(raw: bytes, compression: str, limit: int) -> bytes:
    """Decompress what is compressed, and stop at `limit`: a small body may hold a very large one."""
    if not (raw.startswith(_GZIP_MAGIC) or compression in (*_GZIP_NAMES, "deflate")):
        return raw
    inflater = zlib.decompressobj(_ANY_ZLIB_FORM)
    try:
        data = inflater.decompress(raw, limit)
    except zlib.error:
        raise errors.undecodable("invalid GZIP data") from None
    if inflater.unconsumed_tail:
        raise errors.too_big(f"Event or batch exceeded {limit} during unzipping")
    if not inflater.eof:
        raise errors.undecodable("invalid GZIP data")
    return data


def _unwrapped(raw: bytes) -> bytes:
    """Base64 opened, where that is what it is; JSON never looks like it."""
    packed = raw.strip().replace(b" ", b"+")  # a `+` that was not percent-encoded in a form has become a space
    if not _BASE64.fullmatch(packed):
        return raw
    try:
        return b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        return raw


def _form(raw: bytes) -> tuple[bytes, str]:
    """The `data` field, and what the `compression` field says of it."""
    try:
        fields = parse_qs(raw.decode("ascii"), keep_blank_values=True)
    except ValueError:
        raise errors.undecodable("invalid form data") from None
    if not fields.get("data"):
        raise errors.undecodable("expected form data in POST request payload")
    if not fields["data"][0]:
        raise errors.empty_payload()
    return fields["data"][0].encode(), fields.get("compression", [""])[0]


def _json(raw: bytes) -> Any:
    try:
        text = raw.decode()
    except ValueError:
        raise errors.undecodable("invalid UTF8 in request payload") from None
    try:
        return parsed(text)
    except json.JSONDecodeError as error:
        what = "EOF while parsing a value" if error.pos >= len(text.rstrip()) else "expected value"
        raise errors.unparsable(f"{what} at line {error.lineno} column {error.colno}") from None
    except ValueError:
        raise errors.unparsable("expected value at line 1 column 1") from None
