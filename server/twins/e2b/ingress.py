"""What may come in at a sandbox's public addresses, and under which host name its server hears of it."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from server.twins.e2b.errors import TRAFFIC_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.twins.e2b.record import Record

Headers = list[tuple[bytes, bytes]]


def refusal(record: Record, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any] | None:
    """Why a request may not come in (`allowPublicTraffic: false` without its token); `None` when it may."""
    if record.public:
        return None
    given = dict(headers).get(TRAFFIC_HEADER.encode(), b"")
    if given and compare_digest(given, record.traffic_token.encode()):
        return None
    said = f"Provided token in header '{TRAFFIC_HEADER}' is invalid"
    if not given:
        said = f"Token header '{TRAFFIC_HEADER}' is missing"
    message = f"Sandbox is secured with traffic access token. {said}"
    return {"sandboxId": record.id, "message": message, "code": 403}


def as_heard(record: Record, port: int, headers: Headers) -> Headers:
    """The headers as the sandbox's server hears them: its own host name where one is asked for, and no token."""
    mask = record.network.get("maskRequestHost")
    kept = [(name, value) for name, value in headers if name != TRAFFIC_HEADER.encode()]
    if not mask:
        return kept
    masked = mask.replace("${PORT}", str(port)).encode()
    original = dict(kept).get(b"host", b"")
    kept = [(name, value) for name, value in kept if name not in (b"host", b"x-forwarded-host")]
    return [(b"host", masked), *kept, (b"x-forwarded-host", original)]


def speaks_tls(record: Record, port: int) -> bool:
    """Whether the server on this port does TLS itself (`httpsPorts`)."""
    return port in (record.network.get("httpsPorts") or ())
