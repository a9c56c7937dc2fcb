"""What the tests of GitHub share: PyGithub pointed at a service, names of our own, tests beside the event loop."""

from __future__ import annotations

import asyncio
import time
from functools import wraps
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from github import Auth, Github

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.contract.conftest import Service

P = ParamSpec("P")
T = TypeVar("T")
WHILE = 30.0


def unique() -> str:
    return f"mk0r-test-{token_hex(5)}"


def in_thread(test: Callable[P, None]) -> Callable[P, Awaitable[None]]:
    """PyGithub waits without giving way, and the recorder it calls runs in the event loop."""

    @wraps(test)
    async def run(*arguments: P.args, **named: P.kwargs) -> None:
        await asyncio.to_thread(test, *arguments, **named)

    return run


def soon(done: Callable[[], T | None]) -> T:
    """What GitHub does after it has answered: the first that is not empty."""
    ends = time.monotonic() + WHILE
    while not (found := done()):
        assert time.monotonic() < ends, "it did not happen"
    return found


def options(service: Service) -> dict[str, Any]:
    """As fast as the twin goes; the live service gets PyGithub's own manners."""
    hurry: dict[str, Any] = {"seconds_between_requests": 0, "seconds_between_writes": 0}
    if service.live:
        return {"base_url": service.direct_url, "retry": None}  # PyGithub follows no link to another host
    return {"base_url": service.base_url, "retry": None, **hurry}


def pygithub(service: Service, token: str = "") -> Github:
    return Github(auth=Auth.Token(token or service.key), **options(service))
