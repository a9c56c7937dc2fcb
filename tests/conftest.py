"""What every test shares: one event loop back end, nobody's credentials, and one real local stack."""

# pyright: reportMissingTypeStubs=false
# (pytest-xdist has none)

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.local.home import Home
from tests import prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from xdist.scheduler import LoadFileScheduling

    from server.app import Core
    from server.local.facts import StackFacts

TESTS = Path(__file__).parent
START_SERVERS = {"browser", "cli", "e2e"}
"""Folders whose tests start servers at their usual port, and stop them: two at once would take it from each other."""
SCRUBBED = ("ANTHROPIC_", "NEON_", "RESEND_", "POSTHOG_", "GITHUB_", "E2B_", "MK0R_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start servers take longest, so they begin."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in START_SERVERS)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Over several processes a file stays together, and so do all that start servers."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "servers" if START_SERVERS & {*file.split("/")} else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_credentials() -> Iterator[None]:
    """A developer's own keys must never be used by a test, nor change what it sees."""
    kept = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(SCRUBBED)}
    yield
    os.environ.update(kept)


@dataclass(frozen=True)
class Stack:
    """A running local stack, and the doors by which a test tells a twin to misbehave."""

    home: Home
    facts: StackFacts

    async def twin(self, vendor: str, method: str, path: str, body: Any = None) -> Any:
        """Call one of a twin's own `/_twin` routes."""
        admin = {"Authorization": f"Bearer {self.facts.twins[vendor].admin.reveal()}"}
        async with httpx.AsyncClient(
            base_url=self.facts.base_url(vendor), headers=admin, timeout=10, verify=False
        ) as http:
            response = await http.request(method, f"/_twin/{path}", json=body)
            response.raise_for_status()
            return response.json() if response.content else None

    async def fault(self, vendor: str, **fault: Any) -> None:
        await self.twin(vendor, "POST", "faults", fault)

    async def heal(self) -> None:
        for vendor in self.facts.twins:
            await self.twin(vendor, "DELETE", "faults")


@pytest.fixture(scope="session")
def give_template() -> Callable[[Home], None]:
    """Puts the prepared template into a home, so that its stack need not make one."""
    prepared.apart(prepared.make_template)
    return prepared.link_template


@pytest.fixture(scope="session")
async def running_stack(
    tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]
) -> AsyncIterator[Stack]:
    from server.local import stack
    from server.local.facts import VENDORS

    home = Home(tmp_path_factory.mktemp("mk0r-home"))
    give_template(home)
    facts = await stack.up(home, lambda _: None, which=VENDORS, environ=os.environ)
    running = Stack(home, facts)
    for vendor in facts.twins:
        await running.twin(vendor, "PUT", "limits", {"enforced": False})
    yield running
    await stack.down(home)
    prepared.remove(home)


@pytest.fixture
async def stack(running_stack: Stack) -> AsyncIterator[Stack]:
    """The shared stack, without faults before and after."""
    await running_stack.heal()
    yield running_stack
    await running_stack.heal()


@pytest.fixture
async def core(stack: Stack, tmp_path: Path) -> AsyncIterator[Core]:
    """A server's core on the local stack, with records of its own."""
    from server.app import open_core
    from server.local.stack import settings_from
    from server.settings import Settings

    home = Home(tmp_path)
    settings = Settings().with_local(settings_from(stack.facts)).model_copy(update={"leg_budget_seconds": 15})
    async with AsyncExitStack() as closing:
        core = await closing.enter_async_context(open_core(settings, home))
        core.durable.launch()
        yield core
        await stack.heal()
        for session in core.sessions.all():
            await core.provisioner.destroy(session.slug)
