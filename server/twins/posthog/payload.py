"""Taking a request apart: PostHog's SDKs compress and wrap in more ways than their headers say."""

from __future__ import annotations

import binascii
import json
import zlib
from base64 import b64decode
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from server.twins.posthog import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

Doc = dict[str, Any]

_GZIP_MAGIC = b"\x1f\x8b"
_ANY_ZLIB_FORM = zlib.MAX_WBITS | 32  # gzip or zlib, by its own header


def read(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], limit: int) -> Any:
    """The JSON inside, at most `limit` bytes of it.

    posthog-js sends gzip as `text/plain` without saying so; `sendBeacon` a form with base64 in it.
    """
    if len(raw) > limit:
        raise errors.too_big(limit)
    raw = raw or query.get("data", "").encode()
    if not raw:
        raise errors.empty_payload()
    encoding = headers.get("content-encoding", "")
    if raw.startswith(_GZIP_MAGIC) or encoding in ("gzip", "deflate"):
        raw = inflate(raw, limit)
    elif encoding not in ("", "identity"):
        raise errors.undecodable(f"unsupported content encoding {encoding}")
    form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if form or raw.startswith(b"data="):
        raw = _form_data(raw)
    return _json(raw, query.get("compression", ""))


def inflate(raw: bytes, limit: int) -> bytes:
    """Decompress, and stop at `limit`: a small body may hold a very large one."""
    inflater = zlib.decompressobj(_ANY_ZLIB_FORM)
    try:
        data = inflater.decompress(raw, limit)
    except zlib.error:
        raise errors.undecodable("invalid gzip data") from None
    if inflater.unconsumed_tail:
        raise errors.too_big(limit)
    if not inflater.eof:
        raise errors.undecodable("truncated gzip data")
    return data


def _form_data(raw: bytes) -> bytes:
    try:
        values = parse_qs(raw.decode("ascii"), keep_blank_values=True).get("data", [])
    except ValueError:
        raise errors.undecodable("invalid form data") from None
    if not values or not values[0]:
        raise errors.empty_payload()
    return values[0].encode()


def _json(raw: bytes, compression: str) -> Any:
    looks_like_json = raw.lstrip()[:1] in (b"{", b"[")
    if compression == "base64" or not looks_like_json:
        # A `+` that was not percent-encoded in the form has become a space.
        try:
            raw = b64decode(raw.replace(b" ", b"+"), validate=True)
        except binascii.Error:
            if compression == "base64":
                raise errors.undecodable("invalid base64 data") from None
    try:
        return json.loads(raw)
    except ValueError:
        raise errors.unparsable("invalid JSON") from None


def events_of(payload: Any) -> tuple[list[Doc], Doc]:
    """The events, and what surrounds them (`api_key`, `sent_at`); a single event surrounds itself."""
    if isinstance(payload, list):
        return _all_objects(cast("list[Any]", payload)), {}
    if not isinstance(payload, dict):
        raise errors.not_events("expected an object or an array")
    envelope = cast("Doc", payload)
    batch = envelope.get("batch")
    if batch is None:
        return [envelope], envelope
    if not isinstance(batch, list):
        raise errors.not_events("`batch` is not an array")
    return _all_objects(cast("list[Any]", batch)), envelope


def _all_objects(items: list[Any]) -> list[Doc]:
    if not items:
        raise errors.empty_batch()
    if not all(isinstance(each, dict) for each in items):
        raise errors.not_events("an event is not an object")
    return cast("list[Doc]", items)
