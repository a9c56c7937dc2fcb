"""Who reaches the server in a sandbox of E2B, by which name, and what the sandbox may reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from e2b import AsyncSandbox
from e2b.exceptions import SandboxException

from tests.contract.e2b_sdk import eventually, options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Opener, Service


@pytest.fixture(scope="module")
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


@pytest.fixture(scope="module")
async def sandbox(e2b: Service) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create(timeout=600, metadata={"of": "test_e2b"}, **options(e2b))
    yield sandbox
    await sandbox.kill()


async def test_a_private_sandbox_asks_for_its_traffic_token(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, network={"allow_public_traffic": False}, **options(e2b))
    assert sandbox.traffic_access_token
    await sandbox.commands.run(
        "node -e \"require('http').createServer((q,s)=>s.end('in')).listen(4321)\"", background=True, timeout=0
    )
    scheme = "https" if e2b.live else "http"
    host = sandbox.get_host(4321)
    base = f"{scheme}://{host}" if e2b.live else e2b.direct_url
    headers = {"host": host}
    async with httpx.AsyncClient(trust_env=e2b.live) as client:
        assert (await client.get(base, headers=headers)).status_code == 403
        wrong = await client.get(base, headers={**headers, "e2b-traffic-access-token": "guessed"})
        assert wrong.status_code == 403
        right = {**headers, "e2b-traffic-access-token": sandbox.traffic_access_token}

        async def let_in() -> bool:
            return (await client.get(base, headers=right)).text == "in"

        await eventually(let_in)
    info = await sandbox.get_info()
    assert (info.network or {}).get("allow_public_traffic") is False
    await sandbox.kill()


async def test_the_server_hears_the_host_it_is_given(e2b: Service) -> None:
    mask = "${PORT}-app.example.com"
    sandbox = await AsyncSandbox.create(timeout=120, network={"mask_request_host": mask}, **options(e2b))
    await sandbox.commands.run(
        "node -e \"require('http').createServer((q,s)=>s.end(q.headers.host)).listen(4321)\"",
        background=True,
        timeout=0,
    )
    host = sandbox.get_host(4321)
    base = f"https://{host}" if e2b.live else e2b.direct_url
    async with httpx.AsyncClient(trust_env=e2b.live) as client:

        async def heard() -> str:
            answer = await client.get(base, headers={"host": host})
            return answer.text if answer.status_code == 200 else ""

        assert await eventually(heard) == "4321-app.example.com"
    await sandbox.kill()


async def test_network_rules_are_checked_told_and_replaced(sandbox: AsyncSandbox) -> None:
    with pytest.raises(SandboxException, match="ALL_TRAFFIC"):
        await sandbox.update_network({"allow_out": ["example.com"]})
    with pytest.raises(SandboxException, match="invalid denied CIDR"):
        await sandbox.update_network({"deny_out": ["example.com"]})
    await sandbox.update_network({"allow_out": ["example.com", "8.8.8.0/24"], "deny_out": ["0.0.0.0/0"]})
    told = (await sandbox.get_info()).network or {}
    assert told.get("allow_out") == ["example.com", "8.8.8.0/24"]
    assert told.get("deny_out") == ["0.0.0.0/0"]
    await sandbox.update_network({})
    told = (await sandbox.get_info()).network or {}
    assert not told.get("allow_out")
    assert not told.get("deny_out")
