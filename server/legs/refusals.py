"""A vendor's refusals in our words: what happened, for programs and for people, and what to do next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from server.errors import LegError
from server.legs.retry import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER_ERROR = 500
PASSING = {408, 423, 425, 429}
AGAIN = "Provision this service again in a minute; the rest of the session works."
_KEY = "The operator has to check this vendor's credential: run `mk0r doctor`."
_FAILED = ("vendor_failed", "failed", AGAIN, True)
_REJECTED = ("rejected", "rejected the request", "Report this with the time; the rest of the session works.", False)
_REFUSALS: dict[int, tuple[str, str, str, bool]] = {
    401: ("credential_refused", "does not accept the credential", _KEY, False),
    402: ("quota", "says a quota is used up", "The operator has to raise the quota or remove old sessions.", False),
    403: ("forbidden", "does not allow this credential to do that", _KEY, False),
    408: ("timed_out", "did not answer in time", AGAIN, True),
    423: ("busy", "is busy with this resource", AGAIN, True),
    425: ("busy", "is not ready for this request", AGAIN, True),
    429: ("rate_limited", "asks us to slow down", AGAIN, True),
}


def refused(vendor: str, status: int, key_hint: str = "") -> LegError:
    code, said, action, retryable = _REFUSALS.get(status, _FAILED if status >= SERVER_ERROR else _REJECTED)
    if action == _KEY and key_hint:
        action = f"{_KEY} {key_hint}"
    return LegError(f"{vendor} {said} (HTTP {status}).", code=code, next_action=action, retryable=retryable)


def no_answer(vendor: str, *, timed_out: bool) -> LegError:
    return LegError(
        f"{vendor} {'did not answer in time' if timed_out else 'could not be reached'}.",
        code="timed_out" if timed_out else "unreachable",
        next_action=AGAIN,
        retryable=True,
    )


def bad_answer(vendor: str) -> LegError:
    return LegError(
        f"{vendor} answered something this version does not understand.",
        code="bad_answer",
        next_action="Provision this service again; if it stays, report it with the time.",
        retryable=True,
    )


def incomplete(vendor: str) -> LegError:
    return LegError(
        f"{vendor} could not list everything it has, so nothing follows from what was not there.",
        code="incomplete_listing",
        next_action=AGAIN,
        retryable=True,
    )


def not_yet(vendor: str, seconds: float) -> LegError:
    """Our own limit: the turn comes later than the leg has time."""
    when = f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{seconds:.0f} seconds"  # noqa: PLR2004 - reads better
    return LegError(
        f"{vendor} takes no more requests for {when}.",
        code="rate_limited",
        next_action=f"Provision this service again in {when}; the rest of the session works.",
        retryable=True,
    )


def is_used_up(headers: Mapping[str, str]) -> bool:
    return headers.get("x-ratelimit-remaining") == "0"


def reset_in(headers: Mapping[str, str]) -> float | None:
    """Seconds until a limit that was used up is whole again, where a vendor's own headers say it."""
    if is_used_up(headers) and (reset := retry_after(headers.get("x-ratelimit-reset"))) is not None:
        return max(reset - time.time(), 0)  # GitHub gives a moment, in seconds since 1970
    return retry_after(headers.get("ratelimit-reset"))  # Resend gives seconds from now
