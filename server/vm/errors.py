"""E2B's exceptions in our words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.errors import LegError

if TYPE_CHECKING:
    from collections.abc import Generator

_AGAIN = "Try again in a minute."


@contextmanager
def translated() -> Generator[None]:
    """Raise `LegError` for what the E2B SDK raises; a missing file stays `FileNotFoundException`."""
    import e2b
    import httpx

    try:
        yield
    except e2b.FileNotFoundException:
        raise
    except e2b.AuthenticationException:
        raise LegError(
            "E2B does not accept the credential.",
            code="credential_refused",
            next_action="The operator has to check E2B_API_KEY: run `mk0r doctor`.",
        ) from None
    except e2b.NotFoundException:
        raise LegError(
            "The VM, or the image it starts from, is gone.",
            code="vm_gone",
            next_action="Provision the vm again: the database, keys and repository are kept.",
            retryable=True,
        ) from None
    except (e2b.RateLimitException, e2b.ServiceBusyException):
        raise LegError("E2B asks us to slow down.", code="rate_limited", next_action=_AGAIN, retryable=True) from None
    except (e2b.TimeoutException, httpx.TimeoutException, TimeoutError):
        raise LegError("The VM did not answer in time.", code="timed_out", next_action=_AGAIN, retryable=True) from None
    except (e2b.SandboxException, httpx.TransportError, OSError):
        raise LegError("The VM could not be reached.", code="unreachable", next_action=_AGAIN, retryable=True) from None
