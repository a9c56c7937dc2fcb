"""What the tests of the E2B SDKs share: how they are pointed at the service, and how they wait."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.contract.conftest import Service


def options(service: Service) -> dict[str, Any]:
    """The SDK's own connection options; for the vendor itself its key is enough."""
    if service.live:
        return {"api_key": service.key}
    return {"api_key": service.key, "api_url": service.base_url, "sandbox_url": service.direct_url}


def unique(what: str = "test") -> str:
    return f"mk0r-{what}-{os.urandom(5).hex()}"


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """The first truthy answer within the time."""
    end = time.monotonic() + seconds
    while not (answer := await check()):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.05)
    return answer
