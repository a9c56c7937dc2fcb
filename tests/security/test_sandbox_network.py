"""What a sandbox reaches over the network: what was handed in, the named hosts, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.twins.e2b import tier
from tests.e2b_stage import attempt

if TYPE_CHECKING:
    from e2b import AsyncSandbox

    from tests.e2b_stage import Stage
    from tests.security.conftest import Ports

pytestmark = pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine")


async def test_only_what_was_handed_in_answers_on_loopback(sandbox: AsyncSandbox, ports: Ports, stage: Stage) -> None:
    asked = "curl -sS --noproxy '*' --max-time 5 http://127.0.0.1:{}/"
    assert await attempt(sandbox, asked.format(ports.given)) == (0, "hello")
    for port in (ports.kept, stage.port):
        assert (await attempt(sandbox, asked.format(port)))[0] != 0
    _, links = await attempt(sandbox, "tail -n +3 /proc/net/dev")
    assert [line.split(":")[0].strip() for line in links.splitlines()] == ["lo"]


async def test_tls_on_443_is_the_databases_and_is_trusted(sandbox: AsyncSandbox) -> None:
    asked = "fetch('https://localhost/sql').then(r => r.text()).then(t => console.log(t))"
    assert await attempt(sandbox, f'node -e "{asked}"') == (0, "hello\n")


async def test_the_way_out_lets_through_the_named_hosts_only(stage: Stage, sandbox: AsyncSandbox, ports: Ports) -> None:
    asked = (
        "curl -sS --noproxy '' -x http://127.0.0.1:3128 --max-time 10 -o /dev/null -w '%{http_connect}%{http_code}' "
    )
    assert (await attempt(sandbox, asked + f"http://localhost:{ports.given}/"))[1] == "000200"
    assert "403" in (await attempt(sandbox, asked + "https://example.com/"))[1]
    assert "403" in (await attempt(sandbox, asked + f"http://127.0.0.1:{ports.kept}/"))[1]
    # Named in the request, but leading back into this machine: the name is let through, the address is not.
    other = await stage.create(network={"allow_out": ["localhost"], "deny_out": ["0.0.0.0/0"]})
    assert "502" in (await attempt(other, asked + "https://localhost/"))[1]
    await other.kill()


async def test_a_second_request_on_one_connection_cannot_name_another_host(sandbox: AsyncSandbox, ports: Ports) -> None:
    first = f"GET http://localhost:{ports.given}/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
    second = f"GET http://127.0.0.1:{ports.kept}/ HTTP/1.1\\r\\nHost: b\\r\\n\\r\\n"
    _, said = await attempt(
        sandbox, f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{first}{second}' >&3; timeout 5 cat <&3"
    )
    assert said.count("hello") == 1
