"""E2B's exceptions in our words."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from server.errors import LegError, Mk0rError

if TYPE_CHECKING:
    from collections.abc import Generator

GONE = "vm_gone"
"""E2B has no such sandbox any more."""
_AGAIN = "Try again in a minute."


@contextmanager
def translated() -> Generator[None]:
    """Raise `LegError` for what the E2B SDK raises; a missing file stays `FileNotFoundException`."""
    import e2b
    import httpx
    from connectrpc.errors import ConnectError

    try:
        yield
    except (e2b.FileNotFoundException, Mk0rError):
        raise
    except e2b.AuthenticationException:
        raise LegError(
            "E2B does not accept the credential.",
            code="credential_refused",
            next_action="The operator has to check E2B_API_KEY: run `mk0r doctor`.",
        ) from None
    except e2b.NotFoundException:
        raise LegError(
            "The VM is gone.",
            code=GONE,
            next_action="Provision the vm again: the database, keys and repository are kept.",
            retryable=True,
        ) from None
    except (e2b.RateLimitException, e2b.ServiceBusyException):
        raise LegError("E2B asks us to slow down.", code="rate_limited", next_action=_AGAIN, retryable=True) from None
    except (e2b.TimeoutException, httpx.TimeoutException, TimeoutError):
        raise LegError("The VM did not answer in time.", code="timed_out", next_action=_AGAIN, retryable=True) from None
    except (e2b.SandboxException, httpx.TransportError, OSError) as error:
        raise _of(getattr(error, "status_code", None)) from None
    except ConnectError:
        raise LegError("The VM could not be reached.", code="unreachable", next_action=_AGAIN, retryable=True) from None
    except Exception as error:  # noqa: BLE001 - where an answer surprises it, the SDK raises whatever came up
        logging.getLogger("mk0r").warning("the E2B SDK raised %s", type(error).__name__)
        raise LegError(
            "E2B answered something this version does not understand.",
            code="bad_answer",
            next_action=_AGAIN,
            retryable=True,
        ) from None


def _of(status: int | None) -> LegError:
    """By the HTTP status, where there was one. 408, 409 (a create of this key is under way) and 5xx pass."""
    if status is None or status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return LegError("The VM could not be reached.", code="unreachable", next_action=_AGAIN, retryable=True)
    return LegError(
        f"E2B rejected the request (HTTP {status}).",
        code="rejected",
        next_action="Report this with the time; the rest of the session works.",
    )


_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
