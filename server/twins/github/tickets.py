"""Links that open one download for a few minutes without a token, as GitHub's redirects to archives do."""

from __future__ import annotations

import os
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.core import Site

LIFE = 300
"""Seconds (GitHub docs, "Download a repository archive")."""


class Tickets:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._secret = os.urandom(32)  # a restart ends them, as time soon would

    def issue(self, path: str) -> str:
        ends = int(self._site.clock().timestamp()) + LIFE
        return f"{ends:x}{self._mark(path, ends)}"

    def opens(self, ticket: str, path: str) -> bool:
        ends, mark = ticket[:8], ticket[8:]
        try:
            until = int(ends, 16)
        except ValueError:
            return False
        fresh = until > self._site.clock().timestamp()
        return fresh and compare_digest(mark.encode(), self._mark(path, until).encode())

    def _mark(self, path: str, ends: int) -> str:
        return hmac(self._secret, f"{ends}:{path}".encode(), sha256).hexdigest()[:40]
