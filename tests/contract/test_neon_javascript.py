"""Neon's JavaScript: the API client, the serverless driver, drizzle-orm and drizzle-kit, all unmodified."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.contract.neon_sdk import organization
from tests.prepared import CONTRACT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from server.local.node import NodeRuntime
    from tests.contract.conftest import Service

    NodeTests = Callable[..., Awaitable[None]]

HERE = CONTRACT / "neon"
KIT = CONTRACT / "node_modules" / "drizzle-kit" / "bin.cjs"


@pytest.fixture
async def database_url(neon: Service) -> AsyncIterator[str]:
    """A connection string of a new project, which is gone afterwards."""
    headers = {"Authorization": f"Bearer {neon.key}"}
    async with httpx.AsyncClient(base_url=neon.base_url, headers=headers, timeout=60) as api:
        project = {"name": f"mk0r-test-{secrets.token_hex(4)}", **organization()}
        created = (await api.post("/projects", json={"project": project})).raise_for_status().json()
        path = f"/projects/{created['project']['id']}"
        for operation in created["operations"]:
            while (await api.get(f"{path}/operations/{operation['id']}")).json()["operation"]["status"] == "running":
                pass
        yield created["connection_uris"][0]["connection_uri"]
        (await api.delete(path)).raise_for_status()


@pytest.fixture
def environment(neon: Service, database_url: str) -> dict[str, str]:
    """What leads the driver to the service; nothing where that is Neon itself."""
    led = {"NEON_ORIGIN": neon.direct_url.removesuffix("/api/v2"), "NODE_OPTIONS": f"--import={HERE / 'preload.mjs'}"}
    return {"DATABASE_URL": database_url, **({} if neon.live else led)}


async def test_the_api_client(neon: Service, node_tests: NodeTests) -> None:
    org = {f"NEON_{name.upper()}": value for name, value in organization().items()}
    await node_tests(HERE / "api.test.mjs", NEON_BASE_URL=neon.base_url, NEON_API_KEY=neon.key, **org)


async def test_the_api_client_in_two_peoples_hands(neon: Service, node_tests: NodeTests) -> None:
    if neon.stack is None:
        pytest.skip("it takes the keys of two people")
    people: dict[str, str] = {}
    for who in ("maker", "taker"):
        told = await neon.stack.twin("neon", "POST", "accounts", {"email": f"{who}@example.com", "plan": "launch"})
        people |= {f"{who.upper()}_KEY": told["key"], f"{who.upper()}_ORG": told["org_id"]}
    await node_tests(HERE / "account.test.mjs", NEON_BASE_URL=neon.base_url, **people)


async def test_the_serverless_driver(node_tests: NodeTests, environment: dict[str, str]) -> None:
    await node_tests(HERE / "serverless.test.mjs", **environment)


async def test_drizzle_on_each_of_its_drivers(node_tests: NodeTests, environment: dict[str, str]) -> None:
    await node_tests(HERE / "drizzle.test.mjs", **environment)


SCHEMA = """import { pgTable, serial, text } from "drizzle-orm/pg-core"
export const note = pgTable("note", { id: serial("id").primaryKey(), body: text("body").notNull()MORE })
"""
CONFIGURATION = """export default {
  dialect: "postgresql", schema: "./schema.ts", out: "./drizzle", dbCredentials: { url: process.env.DATABASE_URL },
}
"""


async def test_drizzle_kit_generates_migrates_and_pushes(
    tmp_path: Path, node: NodeRuntime, database_url: str, environment: dict[str, str]
) -> None:
    (tmp_path / "node_modules").symlink_to(CONTRACT / "node_modules")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "drizzle.config.ts").write_text(CONFIGURATION)

    async def kit(*words: str, schema: str) -> None:
        (tmp_path / "schema.ts").write_text(SCHEMA.replace("MORE", schema))
        environ = {"PATH": f"{node.node.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), **environment}
        running = await asyncio.create_subprocess_exec(
            node.node,
            KIT,
            *words,
            cwd=tmp_path,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(running.communicate(), 60)
        assert running.returncode == 0, said.decode()

    await kit("generate", "--name", "first", schema="")
    await kit("migrate", schema="")
    await kit("push", "--force", schema=', mood: text("mood")')
    async with await _connect(database_url) as connection:
        found = await connection.execute(
            "select column_name from information_schema.columns where table_name = 'note' order by ordinal_position"
        )
        assert [name for (name,) in await found.fetchall()] == ["id", "body", "mood"]
        found = await connection.execute("select count(*) from drizzle.__drizzle_migrations")
        assert await found.fetchone() == (1,)


async def _connect(uri: str) -> Any:
    import psycopg

    return await psycopg.AsyncConnection.connect(uri)
