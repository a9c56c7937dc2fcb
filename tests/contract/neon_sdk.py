"""The unmodified `neon-api` for Python, pointed at a service; for the contract tests."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from neon_api import NeonAPI  # pyright: ignore[reportMissingTypeStubs]
from neon_api.exceptions import NeonAPIError  # pyright: ignore[reportMissingTypeStubs]

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Service

ENVIRONMENT = dict(os.environ)
GOING_ON = {"scheduling", "running", "failed"}


def organization() -> dict[str, str]:
    """What a personal key of the live service must name; an organization's key, and the twin, need not be told."""
    org = ENVIRONMENT.get("NEON_ORG_ID")
    return {"org_id": org} if org else {}


class Sdk:
    """Makes the SDK's calls, which block, beside the event loop."""

    def __init__(self, service: Service, key: str | None = None) -> None:
        self._api = NeonAPI(key or service.key, base_url=f"{service.base_url}/")

    async def __call__(self, name: str, *arguments: Any, **named: Any) -> Any:
        call: Callable[..., Any] = getattr(self._api, name)
        return await asyncio.to_thread(call, *arguments, **named)

    async def refused(self, name: str, *arguments: Any, **named: Any) -> Any:
        """The body of the refusal."""
        with pytest.raises(NeonAPIError) as refusal:
            await self(name, *arguments, **named)
        return json.loads(str(refusal.value))

    async def over(self, project: str) -> None:
        """Returns when nothing goes on in the project any more."""
        async with asyncio.timeout(60):
            while True:
                operations = (await self("operations", project)).operations
                if not any(operation.status.value in GOING_ON for operation in operations):
                    return
                await asyncio.sleep(0.01)
