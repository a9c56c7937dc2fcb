"""Each vendor as its own SDK meets it: the twin or, by one variable, the vendor.

`MK0R_LIVE_NEON=1` (or `_RESEND`, `_POSTHOG`, `_GITHUB`, `_E2B`, `_ANTHROPIC`), with that vendor's own key in the
environment, points the same tests at the real service. None has been run so yet.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from server.local import stack
from server.local.home import Home
from server.twins.core.serve import bind, serving
from tests.conftest import Stack
from tests.contract.recorder import Recorder
from tests.prepared import apart, node_sdks, remove, run_node_tests

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from server.local.node import NodeRuntime

# vendor: (its address, its key's variable, where its described paths begin)
LIVE = {
    "neon": ("https://console.neon.tech/api/v2", "NEON_API_KEY", "/api/v2"),
    "resend": ("https://api.resend.com", "RESEND_API_KEY", ""),
    "posthog": ("https://us.i.posthog.com", "POSTHOG_PROJECT_KEY", ""),
    "github": ("https://api.github.com", "GITHUB_TOKEN", ""),
    "e2b": ("https://api.e2b.app", "E2B_API_KEY", ""),
    "anthropic": ("https://api.anthropic.com", "ANTHROPIC_API_KEY", ""),
}
DESCRIBED = {"neon", "resend", "github", "e2b"}
ENVIRONMENT = dict(os.environ)


@dataclass(frozen=True)
class Service:
    """What an SDK is pointed at."""

    vendor: str
    base_url: str
    """With the vendor's path prefix; answers are held against the vendor's description on the way."""
    direct_url: str
    """The same without anything between, for streams and sockets."""
    key: str
    stack: Stack | None
    """The twin's own doors (faults, clock, views); none when this is the live vendor."""

    @property
    def live(self) -> bool:
        return self.stack is None

    @property
    def origin(self) -> str:
        return self.base_url.removesuffix(LIVE[self.vendor][2])


Opener = Callable[[str], "AbstractAsyncContextManager[Service]"]


async def _end(home: Home) -> None:
    await stack.down(home)
    await asyncio.to_thread(remove, home)


@pytest.fixture(scope="session")
async def twin_of(
    tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]
) -> AsyncIterator[Callable[[str], Awaitable[Stack]]]:
    """A stack of one twin alone, started when it is first asked for."""
    stacks: dict[str, Stack] = {}

    async def start(vendor: str) -> Stack:
        if vendor not in stacks:
            home = Home(tmp_path_factory.mktemp(f"{vendor}-home"))
            if vendor == "e2b":
                give_template(home)
            facts = await stack.up(home, lambda _: None, which={vendor}, environ=os.environ)
            stacks[vendor] = Stack(home, facts)
            await stacks[vendor].twin(vendor, "PUT", "limits", {"enforced": False})
        return stacks[vendor]

    yield start
    await asyncio.gather(*(_end(started.home) for started in stacks.values()))


@pytest.fixture(scope="session")
def open_service(twin_of: Callable[[str], Awaitable[Stack]]) -> Opener:
    """Opens a vendor for as long as the block runs; at its end, an answer not as described fails the test."""

    async def find(vendor: str) -> tuple[str, str, Stack | None]:
        address, key_name, prefix = LIVE[vendor]
        if ENVIRONMENT.get(f"MK0R_LIVE_{vendor.upper()}") == "1":
            return address, ENVIRONMENT[key_name], None
        running = await twin_of(vendor)
        credential = running.facts.twins[vendor].credential.reveal()
        return running.facts.base_url(vendor) + prefix, credential, running

    @asynccontextmanager
    async def opened(vendor: str) -> AsyncGenerator[Service]:
        address, key, running = await find(vendor)
        if vendor not in DESCRIBED:
            yield Service(vendor, address, address, key, running)
            return
        prefix = LIVE[vendor][2]
        recorder = Recorder(vendor, address.removesuffix(prefix), prefix)
        async with serving(recorder.app(), bind(), drain=1) as port:
            yield Service(vendor, f"http://127.0.0.1:{port}{prefix}", address, key, running)
        await recorder.close()
        assert not recorder.wrong, "\n".join(sorted(set(recorder.wrong)))

    return opened


@pytest.fixture
async def neon(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("neon") as service:
        yield service


@pytest.fixture
async def resend(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("resend") as service:
        yield service


@pytest.fixture
async def posthog(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("posthog") as service:
        yield service


@pytest.fixture
async def github(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("github") as service:
        yield service


@pytest.fixture
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


@pytest.fixture
async def anthropic(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("anthropic") as service:
        yield service


@pytest.fixture(scope="session")
def node() -> NodeRuntime:
    """Node, with the vendors' JavaScript SDKs installed."""
    return apart(node_sdks)


@pytest.fixture
def node_tests(node: NodeRuntime) -> Callable[..., object]:
    """Runs a file of `node:test` tests beside the event loop, which the recorder needs."""

    async def run(script: Path, **environment: str) -> None:
        await asyncio.to_thread(run_node_tests, node, script, environment)

    return run
