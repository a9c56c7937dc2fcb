"""`Idempotency-Key`: one mail however often it is asked for (Resend docs, "Idempotency keys")."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from server.twins.resend import errors, times

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

LIFETIME = timedelta(hours=24)
LONGEST = 256


class Idempotency:
    """Keys are the team's. Only what succeeded is remembered, so a refused request may be put right."""

    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records
        self._under_way: dict[str, str] = {}

    async def once(self, key: str | None, payload: Any, send: Callable[[], Awaitable[Body]]) -> Body:
        """`send()`, or what it answered before under this key."""
        if key is None:
            return await send()
        if not 1 <= len(key) <= LONGEST:
            raise errors.invalid_idempotency_key()
        fingerprint = sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        if (answered := self._answered(key, fingerprint)) is not None:
            return answered
        self._under_way[key] = fingerprint
        try:
            answer = await send()
        finally:
            del self._under_way[key]
        doc = {"id": key, "fingerprint": fingerprint, "answer": answer, "at": times.iso(self._site.clock())}
        self._records.put("idempotency", key, doc)
        return answer

    async def forget(self) -> None:
        """Drop the keys whose day is over."""
        for doc in self._records.all("idempotency"):
            if self._over(doc):
                self._records.delete("idempotency", doc["id"])

    def _answered(self, key: str, fingerprint: str) -> Body | None:
        if key in self._under_way:
            raise (
                errors.idempotency_key_in_use()
                if self._under_way[key] == fingerprint
                else errors.idempotency_key_reused()
            )
        earlier = self._records.get("idempotency", key)
        if earlier is None or self._over(earlier):
            return None
        if earlier["fingerprint"] != fingerprint:
            raise errors.idempotency_key_reused()
        return earlier["answer"]

    def _over(self, doc: Body) -> bool:
        return times.read(doc["at"]) + LIFETIME <= self._site.clock()
