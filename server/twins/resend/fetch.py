"""Attachments given as a URL.

Resend asks any public server for them. The twin is called from sandboxes that may reach nothing, so it asks only the
origins its operator has listed (`PUT /_twin/origins`): none at first, compared whole (scheme, host, port), no redirect
followed, no proxy used, no credentials sent, and never more than a mail may hold.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from server.twins.resend import errors

if TYPE_CHECKING:
    from server.twins.core import Records

LARGEST = 40 * 1024 * 1024
PATIENCE = 10.0


class Origins:
    """Where attachments may come from."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def list(self) -> list[str]:
        kept = self._records.get("origins", "team")
        return kept["origins"] if kept else []

    def allow(self, origins: list[str]) -> None:
        """Raises `ValueError` for what is not `scheme://host[:port]`."""
        self._records.put("origins", "team", {"origins": [_origin(each) for each in origins]})

    async def fetch(self, url: str) -> bytes:
        """Raises Resend's error for a bad attachment whatever went wrong: a caller learns nothing of our network."""
        if _origin_or_none(url) not in self.list():
            raise errors.invalid_attachment(
                "The attachment's `path` is not at an origin this Resend twin may ask. Send its `content`, or list the "
                "origin with PUT /_twin/origins."
            )
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await _read(http, url)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError):
                raise errors.invalid_attachment("The attachment's `path` could not be downloaded.") from None


async def _read(http: httpx.AsyncClient, url: str) -> bytes:
    found = bytearray()
    async with http.stream("GET", url, headers={"user-agent": "resend-twin"}) as answer:
        if not answer.is_success:
            raise ValueError(answer.status_code)
        async for chunk in answer.aiter_bytes():
            found += chunk
            if len(found) > LARGEST:
                raise ValueError("too large")
    return bytes(found)


def _origin_or_none(url: str) -> str | None:
    try:
        return _origin(url)
    except (httpx.InvalidURL, ValueError):
        return None


def _origin(url: str) -> str:
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ValueError(f"not an origin: {url}")
    port = parsed.port or {"http": 80, "https": 443}[parsed.scheme]
    return f"{parsed.scheme}://{parsed.host}:{port}"
