"""Start-up as a value: what has been done, what is being done, what failed, and the core once it is there."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent_loop.web.doors import Doors
from server.errors import Mk0rError, StackError
from server.local.progress import StackStep, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp

    from agent_loop.web.runs import Runs
    from server.app import Core
    from server.durable import Durable
    from server.local.facts import StackFacts
    from server.local.home import Home

WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class Parts:
    """Everything that is there once start-up is over."""

    core: Core
    runs: Runs
    mcp: ASGIApp
    doors: Doors


@dataclass
class Boot:
    """One server's start-up. `open_parts` builds what the routes need; its failure is kept, never lost."""

    home: Home
    open_parts: Callable[[Boot, AsyncExitStack], Awaitable[Parts]]
    port: int = 0
    steps: dict[str, StackStep] = field(default_factory=dict[str, StackStep])
    error: Mk0rError | None = None
    parts: Parts | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self, at: StackStep) -> None:
        self.steps[at.name] = at

    def view(self) -> dict[str, Any]:
        """What `GET /api/stack` answers."""
        return {
            "ready": self.parts is not None,
            "steps": [{"name": s.name, "state": s.state, "detail": s.detail, "ms": s.ms} for s in self.steps.values()],
            "error": error_view(self.error),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, keep it until `stop`, and put it away."""
        async with AsyncExitStack() as stack:
            try:
                self.parts = await self.open_parts(self, stack)
            except Mk0rError as error:
                self.error = error
            except Exception:
                logging.getLogger("mk0r").exception("start-up failed")
                self.error = StackError(
                    "The server could not start.", next_action=f"See {self.home.logs / 'server.log'}."
                )
            self.over.set()
            await stop.wait()
            self.parts = None


def error_view(error: Mk0rError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "next_action": error.next_action}


async def open_local(boot: Boot, stack: AsyncExitStack, *, workflows: type[Durable] | None = None) -> Parts:
    """The real thing: the local stack for every leg without credentials, then the core on top of it.

    `workflows`: another engine than the journalled one.
    """
    from server.local import stack as local
    from server.settings import Settings

    loading = asyncio.create_task(asyncio.to_thread(_load))
    # Not waited for: nothing needs it before a first run's first turn, and it takes the longest.
    stack.push_async_callback(_cancelled, asyncio.create_task(_then(loading, _load_model)))
    settings = Settings()  # pyright: ignore[reportCallIssue] - filled from the environment
    settings.check()
    twins = settings.twins()
    facts = await local.up(boot.home, boot.report, which=twins, environ=os.environ, server_port=boot.port)
    stack.push_async_callback(_cancelled, asyncio.create_task(_watch(boot, facts, twins)))
    async with step("server", boot.report):
        await loading
        from agent_loop.web.runs import Runs
        from server.app import open_core

        settings = settings.with_local(local.settings_from(facts))
        if settings.public_url is None and "e2b" in twins:
            settings = settings.model_copy(update={"public_url": f"http://localhost:{boot.port}"})
        core = await stack.enter_async_context(open_core(settings, boot.home, workflows=workflows))
        runs = Runs(core)
        mcp = core.mcp.streamable_http_app(stateless_http=True)
        await stack.enter_async_context(mcp.router.lifespan_context(mcp))
        core.durable.launch()
    return Parts(core, runs, mcp, Doors(boot.home))


def _load() -> None:
    """Import what takes a second, while the stack comes up."""
    for name in ("server.app", "agent_loop.web.runs", "mcp.server", "mcp.client", "dbos", "e2b"):
        import_module(name)


def _load_model() -> None:
    """Import the model's SDK."""
    for name in ("agent_loop.loop", "anthropic"):
        import_module(name)


async def _then(first: asyncio.Task[None], work: Callable[[], None]) -> None:
    await first
    await asyncio.to_thread(work)


async def _watch(boot: Boot, facts: StackFacts, which: frozenset[str]) -> None:
    """Start again what died alone: the stack is several processes, and any of them may."""
    from server.local import stack as local

    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if not local.alive(boot.home, facts):
            try:
                facts = await local.up(boot.home, boot.report, which=which)
            except Mk0rError as error:
                logging.getLogger("mk0r").warning("the local stack is down: %s", error.message)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
