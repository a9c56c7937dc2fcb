"""A VM that is gone for good is replaced from the repository; one that slept has what it must not be without."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from e2b import AsyncSandbox
from mcp import Client

from tests.faults.vendors import at_vendors, on_record

if TYPE_CHECKING:
    from server.app import Core
    from server.books.record import Session
    from tests.conftest import Stack

ROWS = """
import pg from 'pg'
const db = new pg.Client(process.env.DATABASE_URL)
await db.connect()
await db.query(process.argv[2])
console.log(JSON.stringify((await db.query('select word from words')).rows))
await db.end()
"""
SQL = "node --env-file=/app/.env rows.mjs"


class Caller:
    """One session through the MCP client."""

    def __init__(self, core: Core, client: Client, key: str) -> None:
        self.core = core
        self.client = client
        self.key = key

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.client.call_tool(tool, {"session_key": self.key, **arguments})
        assert not answer.is_error, answer
        assert answer.structured_content is not None
        return answer.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        answer = await self.client.call_tool(tool, {"session_key": self.key, **arguments})
        assert answer.is_error, answer
        return answer.model_dump_json()

    async def run(self, command: str) -> str:
        ran = await self.call("run_in_vm", command=command)
        assert ran["exit_code"] == 0, ran
        return ran["stdout"]

    @property
    def session(self) -> Session:
        return self.core.sessions.authenticate(self.key)

    async def lose_vm(self) -> None:
        """End the sandbox behind the server's back."""
        options = self.core.sandboxes.api()
        assert await AsyncSandbox.kill(self.session.sandbox_id or "", **options)


@pytest.fixture(params=[["git"]])
async def caller(core: Core, request: pytest.FixtureRequest) -> Any:
    """A session of these services with pushed code, and with a file that was never pushed."""
    async with Client(core.mcp) as client:
        begun = await client.call_tool("provision_session", {"services": request.param})
        assert begun.structured_content is not None
        one = Caller(core, client, begun.structured_content["session_key"])
        await one.call("write_files", files=[{"path": "rows.mjs", "content": ROWS}])
        await one.call("git_push", message="Rows")
        await one.call("write_files", files=[{"path": "unsaved.txt", "content": "x"}])
        yield one


@pytest.mark.parametrize("caller", [["database", "git"]], indirect=True)
async def test_the_pushed_code_the_database_and_its_keys_are_those_of_before(caller: Caller, stack: Stack) -> None:
    await caller.run(f"{SQL} \"create table words (word text); insert into words values ('kept')\"")
    before, env = caller.session, await caller.run("sha256sum < /app/.env")
    commit = (await caller.run("git rev-parse HEAD")).strip()
    await caller.lose_vm()
    seen = await caller.call("run_in_vm", command=f"{SQL} 'select 1'; ls; git status --porcelain; sha256sum < .env")
    assert seen["exit_code"] == 0, seen
    assert json.loads(seen["stdout"].splitlines()[0]) == [{"word": "kept"}]
    assert env.strip() in seen["stdout"]
    assert "unsaved.txt" not in seen["stdout"]
    assert commit[:12] in seen["notice"]
    assert "not pushed is lost" in seen["notice"]
    after = caller.session
    assert after.state == "ready"
    assert after.preview_url != before.preview_url
    assert [leg for leg in after.legs if leg.name != "vm"] == [leg for leg in before.legs if leg.name != "vm"]
    assert await at_vendors(stack, after, ["vm", "git"]) == on_record(after, ["vm", "git"])
    assert (await caller.call("preview_app"))["status"] == 200
    assert (await caller.call("run_in_vm", command="true"))["notice"] == ""
    assert not (await caller.call("git_push", message="Nothing new"))["pushed"]


async def test_who_waits_for_the_other_vm_hears_why(caller: Caller) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    await caller.lose_vm()
    async with Client(caller.core.mcp, mode="legacy") as client:
        asked = {"session_key": caller.key, "command": "true"}
        assert not (await client.call_tool("run_in_vm", asked, progress_callback=hear)).is_error
        said = [message for *_, message in heard]
        assert said == ["the VM was gone for good: another is made from the repository", "vm: made"]
        assert heard[0][0] < heard[1][0]
        heard.clear()
        assert not (await client.call_tool("run_in_vm", asked, progress_callback=hear)).is_error
        assert heard == []


async def test_many_who_call_at_once_get_one_replacement(caller: Caller, stack: Stack) -> None:
    await caller.lose_vm()
    calls = [caller.call("run_in_vm", command="test -e rows.mjs; echo $?") for _ in range(4)]
    answers = await asyncio.gather(*calls, caller.call("read_file", path="rows.mjs"))
    assert [answer["stdout"] for answer in answers[:4]] == ["0\n"] * 4
    assert answers[4]["content"] == ROWS
    assert len((await at_vendors(stack, caller.session, ["vm"]))["vm"]) == 1
    told = [event.type for event in caller.core.events.since(caller.session.slug, 0)]
    assert told.count("vm.lost") == 1
    assert told.count("code.restored") == 1


async def test_a_push_after_the_loss_does_not_look_like_a_success(caller: Caller) -> None:
    await caller.lose_vm()
    said = await caller.refused("git_push", message="All of it")
    assert "not pushed is lost" in said


async def test_packages_that_the_image_has_not_are_installed(caller: Caller) -> None:
    await caller.run('mkdir -p own/word && echo \'{"name":"word","version":"1.0.0"}\' > own/word/package.json')
    await caller.run("echo 'module.exports=7' > own/word/index.js && npm install ./own/word --no-audit --no-fund")
    await caller.call("git_push", message="A package")
    await caller.lose_vm()
    assert await caller.run("node -p 'require(\"word\")'") == "7\n"


async def test_packages_that_cannot_be_installed_are_told_of_and_lose_nothing_else(caller: Caller) -> None:
    package = json.loads((await caller.call("read_file", path="package.json"))["content"])
    package["dependencies"]["lost"] = "file:./lost.tgz"
    await caller.call("write_files", files=[{"path": "package.json", "content": json.dumps(package)}])
    await caller.call("git_push", message="A package that is nowhere")
    await caller.lose_vm()
    assert "rows.mjs" in await caller.run("ls; ls /app/.env")
    assert caller.session.state == "ready"
    told = [event.type for event in caller.core.events.since(caller.session.slug, 0)]
    assert told[told.index("code.restored") :].count("packages.missing") == 1


async def test_a_repository_that_cannot_be_read_leaves_no_vm_that_looks_whole(caller: Caller, stack: Stack) -> None:
    await caller.lose_vm()
    await stack.fault("github", path=".*/info/refs", status=503)
    said = await caller.refused("run_in_vm", command="ls")
    assert "repository could not be read" in said
    assert "provision_session" in said
    assert caller.session.state == "partial"
    await stack.heal()
    await caller.call("provision_session")
    assert "rows.mjs" in await caller.run("ls")
    assert len((await at_vendors(stack, caller.session, ["vm"]))["vm"]) == 1


async def test_a_vm_that_lost_its_files_while_it_slept_gets_them_back(caller: Caller) -> None:
    await caller.run("rm /app/.env /run/brd.conf")
    await caller.core.sandboxes.pause(caller.session.sandbox_id or "")
    said = await caller.run("stat -c %a /app/.env; grep -o ^GITHUB_REPO= /app/.env; cat /run/brd.conf")
    assert said.startswith("600\nGITHUB_REPO=\n")
    assert f"MK0R_SLUG={caller.session.slug}" in said


async def test_an_e2b_that_says_nothing_is_not_taken_for_a_loss(caller: Caller, stack: Stack) -> None:
    before = caller.session.sandbox_id
    caller.core.sandboxes.forget(before or "")
    await stack.fault("e2b", path=".*/connect", status=503)
    await caller.refused("run_in_vm", command="ls")
    await stack.heal()
    assert "unsaved.txt" in await caller.run("ls")
    assert caller.session.sandbox_id == before
