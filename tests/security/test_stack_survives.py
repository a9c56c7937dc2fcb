"""One session that takes all it can: the others, the twins and the database go on working."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from server.twins.compose import services
from server.twins.e2b import tier
from server.twins.e2b.guards import Guards
from server.twins.e2b.shares import Shares
from tests import e2b_stage
from tests.e2b_stage import attempt, staged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from e2b import AsyncSandbox

    from tests.conftest import Stack

pytestmark = pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine")

BOMB = "bomb() { bomb | bomb & }; bomb; sleep 1000"
"""Grows until there are no more processes to be had, and stays so."""
FILLER = "for n in $(seq 60); do head -c 4M /dev/zero > /app/full-$n || exit; done; sleep 2; echo kept all"


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[str]:
    """A connection string to a project of the Neon twin, as a session has one."""
    key = {"Authorization": f"Bearer {stack.facts.twins['neon'].credential.reveal()}"}
    async with httpx.AsyncClient(base_url=f"{stack.facts.base_url('neon')}/api/v2", headers=key, timeout=30) as http:
        made = (await http.post("/projects", json={"project": {"name": "survives"}})).raise_for_status().json()
        uri = made["connection_uris"][0]["connection_uri"]
        async with await psycopg.AsyncConnection[Any].connect(uri, autocommit=True, connect_timeout=10) as connection:
            await connection.execute("create table note (text text)")
        yield uri
        (await http.delete(f"/projects/{made['project']['id']}")).raise_for_status()


@asynccontextmanager
async def two(create: Any) -> AsyncGenerator[tuple[AsyncSandbox, AsyncSandbox]]:
    hungry, other = [await create() for _ in range(2)]
    yield hungry, other
    for sandbox in (hungry, other):
        await sandbox.kill()


async def works(sandbox: AsyncSandbox, stack: Stack, database: str) -> None:
    """Writes a file and a row from inside, reads both from outside, and asks every twin."""
    insert = '{"query": "insert into note values ($1) returning text", "params": ["from inside"]}'
    asked = f"curl -sS --noproxy '*' --cacert /etc/mk0r/ca.pem --max-time 10 -d '{insert}' https://localhost/sql"
    code, said = await attempt(sandbox, f"{asked} -H 'Neon-Connection-String: {database}' | tee /app/answer")
    assert code == 0, said
    assert "from inside" in await sandbox.files.read("/app/answer")
    async with await psycopg.AsyncConnection[Any].connect(database, connect_timeout=10) as connection:
        rows = await (await connection.execute("select text from note")).fetchall()
    assert rows == [("from inside",)]
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        for twin in stack.facts.twins.values():
            (await http.get(twin.health_url)).raise_for_status()


async def test_a_fork_bomb_leaves_the_other_session_the_twins_and_the_database_working(
    stack: Stack, database: str
) -> None:
    from e2b import AsyncSandbox

    at_its_limit = asyncio.Event()

    def hear(said: str) -> None:
        if "fork" in said:  # bash says that it could not
            at_its_limit.set()

    async def create() -> AsyncSandbox:
        url = stack.facts.base_url("e2b")
        key = stack.facts.twins["e2b"].credential.reveal()
        return await AsyncSandbox.create("mk0r", timeout=600, api_key=key, api_url=url, sandbox_url=url)

    async with two(create) as (hungry, other):
        bomb = await hungry.commands.run(BOMB, background=True, timeout=0, on_stderr=hear)
        async with asyncio.timeout(30):
            await at_its_limit.wait()
        await works(other, stack, database)
        third = await create()
        assert await attempt(third, "echo fine") == (0, "fine\n")
        await third.kill()
        await hungry.pause()
        await bomb.disconnect()


async def test_a_full_disk_leaves_the_other_session_the_twins_and_the_database_working(
    stack: Stack, database: str, tmp_path: Path
) -> None:
    """With a share of 64 MB, as it is the same at 4 GB."""
    home = e2b_stage.make_home(tmp_path)
    guards = Guards(shares=Shares(disk=64 << 20, pause=0.1))
    async with (
        staged(home, services=services(stack.facts), guards=guards) as stage,
        two(stage.create) as (hungry, other),
    ):
        code, said = await attempt(hungry, FILLER, seconds=30)
        assert (code != 0, "kept all" in said) == (True, False), said
        await works(other, stack, database)
        # It is not lost itself: it can make room, and goes on.
        await hungry.files.remove("/app/full-1")
        assert (await attempt(hungry, "rm /app/full-*; echo room > /app/room; cat /app/room"))[1].startswith("room")
    e2b_stage.unmake_home(home)
