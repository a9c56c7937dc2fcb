"""The files of a sandbox of the E2B twin: written, read, listed and moved, and nobody else's."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from e2b import AsyncSandbox, FileNotFoundException, InvalidArgumentException

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import LIVE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.skipif(
    not LIVE and tier.probe().name != "namespaces", reason="no user namespaces on this machine"
)


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    async with staged(home) as stage:
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture(scope="module")
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create(metadata={"app": "shared"}, envs={"SESSION": "one"})
    yield sandbox
    await sandbox.kill()


async def test_files_are_written_read_and_made_with_their_folders(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/root/.claude/skills/a/SKILL.md", "# a skill\n")
    await sandbox.files.write_files([{"path": "/app/one.txt", "data": "1"}, {"path": "two/2.txt", "data": b"\x00\xff"}])
    assert await sandbox.files.read("/root/.claude/skills/a/SKILL.md") == "# a skill\n"
    assert bytes(await sandbox.files.read("/app/two/2.txt", format="bytes")) == b"\x00\xff"
    assert (await sandbox.commands.run("cat /app/one.txt")).stdout == "1"


async def test_a_shorter_file_leaves_nothing_of_a_longer_one(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/length.txt", "a long text")
    await sandbox.files.write("/app/length.txt", "short")
    assert await sandbox.files.read("/app/length.txt") == "short"


async def test_a_big_file_goes_in_and_comes_out(sandbox: AsyncSandbox) -> None:
    data = os.urandom(5_000_000)
    await sandbox.files.write("/app/big.bin", data)
    assert bytes(await sandbox.files.read("/app/big.bin", format="bytes")) == data


async def test_a_missing_file_is_not_found(sandbox: AsyncSandbox) -> None:
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read("/app/none")
    assert not await sandbox.files.exists("/app/none")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.read("/app")


async def test_folders_are_listed_made_moved_and_removed(sandbox: AsyncSandbox) -> None:
    assert await sandbox.files.make_dir("/app/tree/deep")
    assert not await sandbox.files.make_dir("/app/tree/deep")
    await sandbox.files.write("/app/tree/deep/leaf", "x")
    assert [each.path for each in await sandbox.files.list("/app/tree", depth=2)] == [
        "/app/tree/deep",
        "/app/tree/deep/leaf",
    ]
    await sandbox.files.rename("/app/tree/deep/leaf", "/app/tree/blade")
    assert (await sandbox.files.get_info("/app/tree/blade")).size == 1
    await sandbox.files.remove("/app/tree")
    assert not await sandbox.files.exists("/app/tree")


async def test_the_env_file_can_be_written_for_its_owner_only(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("/app/.env.new", "KEY='value'\n")
    await sandbox.commands.run("chmod 600 /app/.env.new && mv /app/.env.new /app/.env")
    info = await sandbox.files.get_info("/app/.env")
    assert info.mode == 0o600
    assert info.owner == "root"
    assert await sandbox.files.read("/app/.env") == "KEY='value'\n"


async def test_node_modules_are_there_and_can_be_changed_for_one_sandbox_only(stage: Stage) -> None:
    one, two = await asyncio.gather(stage.create(), stage.create())
    await one.commands.run("echo changed > node_modules/little/index.js && mkdir node_modules/more")
    other = await two.commands.run("cat node_modules/little/index.js; ls node_modules")
    assert other.stdout == "module.exports = 'little'\nlittle\n"
    if not LIVE:
        kept = stage.home.template / "app" / "node_modules" / "little" / "index.js"
        assert kept.read_text() == "module.exports = 'little'\n"
    await asyncio.gather(one.kill(), two.kill())
