"""The unmodified `resend` for Python, pointed at a service; for the contract tests."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import resend as vendor
from resend.exceptions import RateLimitError, ResendError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import pytest

    from tests.contract.conftest import Service

SENDER = "mk0r test <onboarding@resend.dev>"
INBOX = "delivered@resend.dev"
"""An address and a sender that every account may use."""
MAIL: Any = {"from": SENDER, "to": [INBOX], "subject": "Hello", "html": "<b>Hi</b>", "text": "Hi"}


class Sdk:
    """Makes the SDK's calls, which block, beside the event loop."""

    def __init__(self, service: Service, patch: pytest.MonkeyPatch) -> None:
        self._service = service
        self._patch = patch
        self._made: list[Callable[[], Any]] = []
        patch.setattr(vendor, "api_url", service.base_url)

    async def __call__(self, call: Callable[..., Any], *arguments: Any, key: str | None = None, **named: Any) -> Any:
        """`key` is what it authenticates with; the operator's unless given."""
        self._patch.setattr(vendor, "api_key", self._service.key if key is None else key)
        while True:
            try:
                return await asyncio.to_thread(call, *arguments, **named)
            except RateLimitError as error:
                if not self._service.live:
                    raise
                await asyncio.sleep(float(error.headers["retry-after"]))

    def made(self, remove: Callable[..., Any], *what: Any, **named: Any) -> None:
        """What is to be removed in the end, if it is still there."""
        self._made.append(partial(remove, *what, **named))

    async def a_segment(self) -> str:
        made = await self(vendor.Segments.create, {"name": unique()})
        self.made(vendor.Segments.remove, made["id"])
        return made["id"]

    async def tidy(self) -> None:
        for remove in reversed(self._made):
            try:
                await self(remove)
            except ResendError as error:
                # Gone already, or a broadcast that was sent, which nobody can remove.
                if error.code not in (404, 422):
                    raise


@asynccontextmanager
async def opened(service: Service, patch: pytest.MonkeyPatch) -> AsyncGenerator[Sdk]:
    sdk = Sdk(service, patch)
    yield sdk
    await sdk.tidy()


def unique() -> str:
    return f"mk0r-test-{secrets.token_hex(4)}"
