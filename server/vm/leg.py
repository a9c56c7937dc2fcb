"""The VM's leg: makes, finds and removes sandboxes, through the E2B SDK."""

from __future__ import annotations

from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from server.crash import nowhere
from server.errors import LegError
from server.legs import Listed, Resources
from server.legs.names import is_ours
from server.legs.retry import TRIES
from server.vm.errors import GONE, translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from e2b import SandboxInfo

    from server.crash import Crash
    from server.legs import Intent
    from server.legs.retry import Retries
    from server.legs.turns import Turns
    from server.settings import LegName, Settings
    from server.vm.sandbox import Sandboxes

Result = TypeVar("Result")
HOLD_SECONDS = 1.0  # the SDK does not say what E2B said; its limits are by the second
PASSING = {"rate_limited", "timed_out", "unreachable", "bad_answer"}


class VmLeg:
    name: LegName = "vm"

    def __init__(
        self,
        settings: Settings,
        sandboxes: Sandboxes,
        *,
        retries: Retries,
        turns: Turns | None = None,
        at: Crash = nowhere,
    ) -> None:
        self._settings = settings
        self._sandboxes = sandboxes
        self._retries = retries
        self._turns = turns
        self._at = at

    async def make(self, intent: Intent) -> Resources:
        """E2B's own idempotency key makes a lost answer harmless: every attempt of one life gets the same sandbox."""
        from e2b import AsyncSandbox, SandboxException

        async def create() -> AsyncSandbox:
            try:
                return await AsyncSandbox.create(
                    self._settings.e2b_template,
                    timeout=self._settings.sandbox_timeout_seconds,
                    metadata={"app": intent.app_id},
                    idempotency_key=f"{intent.app_id}-{intent.life}",
                    lifecycle={"on_timeout": "pause"},
                    **self._sandboxes.api(),
                )
            except SandboxException as error:
                if getattr(error, "status_code", None) != HTTPStatus.NOT_FOUND:
                    raise
                raise _no_image(self._settings.e2b_template) from None

        sandbox = await self._insisting(create, self._turns)
        self._at("vm.created")
        return self._sandboxes.remember(sandbox)

    async def find(self, intent: Intent) -> Resources | None:
        found = [info async for info in self._all({"app": intent.app_id})]
        for info in sorted(found, key=lambda info: (info.started_at, info.sandbox_id)):
            try:
                return self._sandboxes.remember(await self._sandboxes.open(info.sandbox_id))
            except LegError as error:
                if error.code != GONE:
                    raise
        return None

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        from e2b import AsyncSandbox

        doomed = [reference["sandbox_id"]] if "sandbox_id" in reference else []
        if not reference:
            doomed = [info.sandbox_id async for info in self._all({"app": app_id})]
        for sandbox_id in doomed:
            self._sandboxes.forget(sandbox_id)
            await self._insisting(lambda sandbox_id=sandbox_id: AsyncSandbox.kill(sandbox_id, **self._sandboxes.api()))

    async def listed(self) -> AsyncIterator[Listed]:
        async for info in self._all({}):
            if is_ours(app_id := info.metadata.get("app", "")):
                yield Listed(app_id, {"sandbox_id": info.sandbox_id}, info.started_at)

    async def _all(self, metadata: dict[str, str]) -> AsyncIterator[SandboxInfo]:
        """Running and paused sandboxes, to the end of the listing."""
        from e2b import AsyncSandbox, SandboxQuery

        query = SandboxQuery(metadata=metadata) if metadata else None
        pages = AsyncSandbox.list(query=query, order="asc", **self._sandboxes.api())
        while pages.has_next:
            for info in await self._insisting(pages.next_items):
                yield info

    async def _insisting(self, call: Callable[[], Awaitable[Result]], turns: Turns | None = None) -> Result:
        """The one retry policy. All these calls may be repeated: a create by its key, the others by their nature."""
        for attempt in count(1):
            if turns:
                await turns.take()
            try:
                with translated():
                    result = await call()
            except LegError as error:
                if turns and error.code == "rate_limited":
                    await turns.hold(HOLD_SECONDS)
                more = error.code in PASSING and attempt < TRIES and self._retries.allowed()
                if not (more and await self._retries.pause(attempt)):
                    raise
            else:
                self._retries.worked()
                return result
        raise AssertionError("unreachable")


def _no_image(name: str) -> LegError:
    return LegError(
        f"E2B has no image named {name}.",
        code="no_image",
        next_action="The operator has to make it once with `mk0r image build`; then ask for the VM again.",
        retryable=True,
    )
