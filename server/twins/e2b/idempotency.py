"""`Idempotency-Key` of a create: one key makes one sandbox, however often it is asked for."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from server.twins.e2b.errors import wire

if TYPE_CHECKING:
    from collections.abc import Generator

    from server.twins.core import Records

SHAPE = re.compile(r"[a-z0-9-]{1,255}")
SOON = {"Should-Retry": "true", "Retry-After": "1"}
"""What the SDK waits by, and asks again, when the first request is still being worked on."""


class Keys:
    """The keys that were used. One whose sandbox is gone may be used anew; E2B does not say whether it is so there."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._under_way: dict[str, str] = {}

    def known(self, key: str, asked: dict[str, Any]) -> str | None:
        """The sandbox this key has made. Raises 409 for another request's key, and for one still under way."""
        if not SHAPE.fullmatch(key):
            raise wire(400, "Invalid Idempotency-Key: 1 to 255 lower-case letters, digits or hyphens are allowed")
        print_ = _fingerprint(asked)
        if (working := self._under_way.get(key)) is not None:
            if working != print_:
                raise _mismatch()
            said = "A request with this idempotency key is still in progress"
            raise wire(409, said, "idempotency_in_progress", SOON)
        doc = self._records.get("key", key)
        if doc is None or self._records.get("sandbox", doc["sandbox"]) is None:
            return None
        if doc["fingerprint"] != print_:
            raise _mismatch()
        return doc["sandbox"]

    @contextmanager
    def using(self, key: str | None, asked: dict[str, Any], sandbox_id: str) -> Generator[None]:
        """While the block runs the key is under way; if it ends well, the key is this sandbox's."""
        if key is None:
            yield
            return
        self._under_way[key] = _fingerprint(asked)
        try:
            yield
            self._records.put("key", key, {"sandbox": sandbox_id, "fingerprint": self._under_way[key]})
        finally:
            del self._under_way[key]


def _fingerprint(asked: dict[str, Any]) -> str:
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _mismatch() -> Exception:
    said = "This idempotency key was used with another request"
    return wire(409, said, "idempotency_request_mismatch", {"Should-Retry": "false"})
