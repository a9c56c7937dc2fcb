"""What a sandbox of the E2B twin reaches: what its network lets out, and the services handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from server.twins.core.serve import bind, serving
from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from e2b import AsyncSandbox
    from starlette.requests import Request

pytestmark = pytest.mark.skipif(
    LIVE or tier.probe().name != "namespaces", reason="looks behind the twin, which needs user namespaces"
)


async def _say(_request: Request) -> Response:
    return Response("the service")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    sockets = bind()
    async with (
        serving(Starlette(routes=[Route("/", _say)]), sockets) as port,
        staged(home, services={"mail": port}) as stage,
    ):
        stage.service = port
        await stage.admin_call("PUT", "limits", {"enforced": False})
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create(metadata={"app": "mine"})
    yield sandbox
    await sandbox.kill()


async def ask(sandbox: AsyncSandbox, url: str, *, proxied: bool = True) -> str:
    """The status a request out of the sandbox gets from its way out; `000` for none."""
    how = "" if proxied else "--noproxy '*'"
    command = f"curl -s -o /dev/null -m 20 {how} -w '%{{http_code}} %{{http_connect}}' {url} || true"
    code, _, connect = (await sandbox.commands.run(command)).stdout.partition(" ")
    return connect if url.startswith("https") else code


async def test_what_may_be_reached_changes_at_once(stage: Stage, sandbox: AsyncSandbox) -> None:
    local = f"http://127.0.0.1:{stage.service}"
    assert await ask(sandbox, "https://nowhere.example") == "403"
    assert await ask(sandbox, local, proxied=False) == "200"
    await sandbox.update_network({"allow_out": ["nowhere.example", "*.nowhere.test"], "deny_out": ["0.0.0.0/0"]})
    assert await ask(sandbox, "https://nowhere.example") == "502"  # admitted, and not there
    assert await ask(sandbox, "https://deep.nowhere.test") == "502"
    assert await ask(sandbox, "https://elsewhere.example") == "403"
    assert await ask(sandbox, "https://registry.npmjs.org") == "403"
    assert await ask(sandbox, local, proxied=False) == "000"
    await sandbox.update_network({"allow_internet_access": True})
    assert await ask(sandbox, "https://elsewhere.example") == "502"
    assert await ask(sandbox, "http://127.0.0.2:1") == "502"  # nothing of this machine, though all is open
    await sandbox.update_network({})
    assert await ask(sandbox, "https://nowhere.example") == "403"
    assert await ask(sandbox, local, proxied=False) == "200"


async def test_a_sandbox_without_the_internet_reaches_nothing(stage: Stage) -> None:
    closed = await stage.create(allow_internet_access=False)
    assert (await closed.get_info()).allow_internet_access is False
    assert await ask(closed, "https://registry.npmjs.org") == "403"
    assert await ask(closed, f"http://127.0.0.1:{stage.service}", proxied=False) == "000"
    await closed.kill()
