"""The signature of a file's URL (envd: `v1_` and the hash of path, operation, user, token and expiry)."""

from __future__ import annotations

import base64
from hashlib import sha256
from hmac import compare_digest
from typing import Literal

Operation = Literal["read", "write"]


Asked = tuple[str, Operation, str]
"""The file's path, what is to be done with it, and as which user; empty for the default one."""


def sign(asked: Asked, token: str, expiration: str | None) -> str:
    parts = [*asked, token, *([expiration] if expiration is not None else [])]
    return "v1_" + base64.b64encode(sha256(":".join(parts).encode()).digest()).rstrip(b"=").decode()


def fits(given: str, asked: Asked, token: str, expiration: str | None) -> bool:
    return compare_digest(given.encode(), sign(asked, token, expiration).encode())
