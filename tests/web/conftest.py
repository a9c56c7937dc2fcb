"""The web on parts small enough to hold in one hand, and on the real ones."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from agent_loop.web.app import build
from agent_loop.web.boot import Boot, Parts
from agent_loop.web.doors import Doors
from server.local.home import Home
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from starlette.applications import Starlette

    from tests.conftest import Stack

TOKEN = "operator-token-of-this-test"


async def never(boot: Boot, stack: AsyncExitStack) -> Parts:
    """A start that does not end."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
def starting(tmp_path: Path) -> Starlette:
    """A server whose start-up has not ended."""
    return build(Boot(Home(tmp_path), never), Secret(TOKEN), hosts=("mk0r.example",), stop=lambda: None)


@asynccontextmanager
async def browser(app: Starlette, base: str = "http://127.0.0.1:3000") -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base) as client:
        yield client


@pytest.fixture
async def parts(stack: Stack, tmp_path: Path) -> AsyncIterator[Parts]:
    """What is behind the routes, on the real stack, with records of its own."""
    from agent_loop.web.runs import Runs
    from server.app import open_core
    from server.local.stack import settings_from
    from server.settings import Settings

    home = Home(tmp_path)
    async with AsyncExitStack() as closing:
        settings = (
            Settings().with_local(settings_from(stack.facts)).model_copy(update={"public_url": "http://localhost:1"})
        )  # pyright: ignore[reportCallIssue] - from the environment
        core = await closing.enter_async_context(open_core(settings, home))
        runs = Runs(core)
        mcp = core.mcp.streamable_http_app(stateless_http=True)
        await closing.enter_async_context(mcp.router.lifespan_context(mcp))
        core.durable.launch()
        yield Parts(core, runs, mcp, Doors(stack.home))
        for session in core.sessions.all():
            await runs.stop(session.slug)
            await core.provisioner.wait(session.slug, 60)
            await core.provisioner.destroy(session.slug)


@pytest.fixture
async def served(parts: Parts, stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The whole app over them."""
    boot = Boot(stack.home, never)
    boot.parts = parts
    async with browser(build(boot, Secret(TOKEN), stop=lambda: None)) as client:
        yield client
