"""Links that open by themselves: signed, and good until they expire (Resend docs, "Attachments", "Share email")."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from server.twins.core import ids
from server.twins.resend import errors, times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.core import Records, Site

LIFETIME = timedelta(hours=1)


class Links:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def seed(self) -> None:
        if self._records.get("secret", "links") is None:
            self._records.put("secret", "links", {"key": ids.token("", 43)})

    def make(self, path: str, lifetime: timedelta = LIFETIME) -> tuple[str, str]:
        """The link to one of the twin's own paths, and when it expires."""
        expires = self._site.clock() + lifetime
        query = urlencode({"expires": int(expires.timestamp()), "signature": self.sign(path, int(expires.timestamp()))})
        return f"{self._site.base_url}{path}?{query}", times.iso(expires)

    def check(self, path: str, query: Mapping[str, str]) -> None:
        """Raises 403 for a link that nobody made or that has expired."""
        expires = query.get("expires", "")
        good = expires.isdecimal() and hmac.compare_digest(self.sign(path, int(expires)), query.get("signature", ""))
        if not good or datetime.fromtimestamp(int(expires), self._site.clock().tzinfo) < self._site.clock():
            raise errors.forbidden("This link is not valid, or no longer.")

    def signed(self, path: str, signature: str) -> bool:
        """Whether a link that never expires is one of ours."""
        return hmac.compare_digest(self.sign(path), signature)

    def sign(self, path: str, expires: int = 0) -> str:
        secret = self._records.get("secret", "links") or {}
        return hmac.new(secret["key"].encode(), f"{path} {expires}".encode(), sha256).hexdigest()
