"""A session driven through the core: provisioned, looked into, waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.settings import LEGS, SERVICES, LegName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.app import Core
    from server.books.sessions import SessionKey
    from tests.conftest import Stack


CREATES: dict[LegName, tuple[str, str]] = {
    "database": ("POST", "/api/v2/projects"),
    "mail": ("POST", "/segments"),
    "git": ("POST", "/user/repos|/orgs/[^/]+/repos"),
    "vm": ("POST", "/v2/sandboxes"),
}
NAMES: dict[LegName, list[str]] = {
    "database": ["DATABASE_URL", "NEON_HOST", "NEON_ROLE_NAME", "NEON_ROLE_PASSWORD", "NEON_PROJECT_ID"],
    "mail": ["RESEND_API_KEY", "RESEND_AUDIENCE_ID", "RESEND_FROM", "MK0R_CONTACTS_URL", "MK0R_CONTACTS_TOKEN"],
    "analytics": ["VITE_POSTHOG_KEY", "VITE_POSTHOG_HOST", "VITE_POSTHOG_APP_ID"],
    "git": ["GITHUB_REPO", "GITHUB_REPO_URL"],
    "vm": ["MK0R_JOBS_TOKEN"],
}
ALL_NAMES = [name for leg in LEGS for name in NAMES[leg]]


async def provisioned(core: Core, services: tuple[LegName, ...] = (*SERVICES, "vm")) -> SessionKey:
    key = core.sessions.mint()
    core.sessions.open(key, services=services)
    await core.provisioner.start(key.slug, services)
    await core.provisioner.wait(key.slug, 60)
    return key


async def in_vm(core: Core, key: SessionKey, command: str) -> str:
    sandbox = core.sessions.by_slug(key.slug).sandbox_id
    assert sandbox is not None
    result = await core.sandboxes.run(sandbox, command, cwd="/")
    assert result.exit_code == 0, result
    return result.stdout


async def until(holds: Callable[[], Awaitable[object]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another program says so
            await asyncio.sleep(0.01)


async def held(stack: Stack, vendor: str) -> None:
    """Wait until a request stands at its barrier."""

    async def one() -> object:
        return (await stack.twin(vendor, "GET", "held"))["held"]

    await until(one)


async def over(core: Core, run: str) -> None:
    await until(lambda: core.durable.is_over(run))


async def says(core: Core, key: SessionKey, command: str) -> str:
    return await in_vm(core, key, f"{command} || true")


def names_in(env: str) -> list[str]:
    return [line.partition("=")[0] for line in env.splitlines()]
