"""The analytics: a group inside the shared PostHog project. Nothing to call, so nothing to fail.

A group is a filter, not a wall: the project key is public and any app can write any group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.errors import LegError
from server.legs import Resources
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.legs import Intent, Listed
    from server.settings import LegName, Settings


class PostHogLeg:
    name: LegName = "analytics"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def make(self, intent: Intent) -> Resources:
        if not self._settings.posthog_key:
            raise LegError(
                "No analytics project is configured.",
                code="not_configured",
                next_action="Set POSTHOG_KEY and POSTHOG_HOST.",
            )
        env = {
            "VITE_POSTHOG_KEY": self._settings.posthog_key,
            "VITE_POSTHOG_HOST": self._settings.posthog_host,
            "VITE_POSTHOG_APP_ID": intent.app_id,
        }
        return Resources({name: Secret(value) for name, value in env.items()}, {"group": intent.app_id})

    async def find(self, intent: Intent) -> Resources | None:
        return await self.make(intent)

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        """PostHog keeps events until the project's own retention ends."""

    async def listed(self) -> AsyncIterator[Listed]:
        """A group is a name on events; there is nothing to list."""
        for nothing in ():
            yield nothing
