"""`python -m server.twins`: the whole process, from its stack file to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from server.local import facts as stack_facts
from server.local.home import Home
from server.twins.compose import environment, services
from server.twins.core.serve import bind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

WANTED = ("resend", "posthog", "github")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.twins.mkdir()
    stack_facts.save(home.stack_file, stack_facts.mint(WANTED))
    return home


def facts_of(home: Home) -> stack_facts.StackFacts:
    facts = stack_facts.load(home.stack_file)
    assert facts is not None
    return facts


@asynccontextmanager
async def twins(home: Home) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "server.twins", "--home", str(home.root)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
        cwd=home.root,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return await process.stdout.readline()


async def test_it_says_when_every_twin_answers_and_stops_when_told(home: Home) -> None:
    facts = facts_of(home)
    async with twins(home) as process, httpx.AsyncClient() as client:
        assert json.loads(await first_line(process)) == {"ready": True}
        for vendor in WANTED:
            answer = await client.get(facts.twins[vendor].health_url)
            assert answer.json() == {"vendor": vendor, "ok": True}
        segments = await client.get(
            f"{facts.base_url('resend')}/segments",
            headers={"Authorization": f"Bearer {facts.twins['resend'].credential.reveal()}"},
        )
        assert segments.status_code == 200
        process.send_signal(signal.SIGTERM)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, output, errors) == (0, b"", b"")


async def test_it_stops_though_a_request_hangs(home: Home) -> None:
    twin = facts_of(home).twins["resend"]
    async with twins(home) as process, httpx.AsyncClient(base_url=f"http://127.0.0.1:{twin.port}") as client:
        await first_line(process)
        admin = {"Authorization": f"Bearer {twin.admin.reveal()}"}
        await client.post("/_twin/faults", json={"path": "/segments", "hang": True, "hold": "gate"}, headers=admin)
        call = asyncio.create_task(client.get("/segments"))
        async with asyncio.timeout(10):
            while not (await client.get("/_twin/held", headers=admin)).json()["held"]:  # noqa: ASYNC110 - over the wire
                await asyncio.sleep(0)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        await asyncio.wait((call,), timeout=10)
        assert call.done()


async def test_a_taken_port_ends_it_with_a_sentence(home: Home) -> None:
    port = facts_of(home).twins["github"].port
    taken = bind(port)
    taken[0].listen()
    try:
        async with twins(home) as process:
            _, errors = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 1
            assert errors.decode().startswith(f"Port {port} on 127.0.0.1 is taken.")
    finally:
        for each in taken:
            each.close()


def test_what_a_sandbox_is_handed() -> None:
    facts = stack_facts.mint(("neon", *WANTED))
    ports = {name: twin.port for name, twin in facts.twins.items()}
    assert services(facts) == {**ports, "postgres": facts.postgres_port}
    assert environment(facts) == {"RESEND_BASE_URL": f"http://localhost:{ports['resend']}"}
    assert services(stack_facts.mint(())) == environment(stack_facts.mint(())) == {}
