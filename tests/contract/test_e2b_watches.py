"""Folders of an E2B sandbox watched through its unmodified Python SDK, and how watches end."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from e2b import (
    AsyncSandbox,
    FileNotFoundException,
    FilesystemEvent,
    FilesystemEventType,
    InvalidArgumentException,
    TimeoutException,
)
from e2b.exceptions import SandboxException

from tests.contract.e2b_sdk import eventually, options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Opener, Service

Kind = FilesystemEventType


@pytest.fixture(scope="module")
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


@pytest.fixture(scope="module")
async def sandbox(e2b: Service) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create(timeout=600, envs={"OF": "the sandbox"}, **options(e2b))
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def folder(sandbox: AsyncSandbox) -> AsyncIterator[str]:
    path = f"/tmp/test-{os.urandom(4).hex()}"
    await sandbox.files.make_dir(path)
    yield path
    await sandbox.files.remove(path)


async def test_a_watched_folder_tells_what_happens_in_it(sandbox: AsyncSandbox, folder: str) -> None:
    heard: list[FilesystemEvent] = []
    await sandbox.files.write(f"{folder}/old.txt", "old")
    watch = await sandbox.files.watch_dir(folder, on_event=heard.append, include_entry=True)
    await sandbox.files.write(f"{folder}/new.txt", "new")
    await sandbox.commands.run(
        f"chmod 600 {folder}/new.txt; mv {folder}/old.txt {folder}/moved.txt; rm {folder}/moved.txt"
    )

    def has(name: str, kind: Kind) -> bool:
        return any(each.name == name and each.type == kind for each in heard)

    wanted = [
        ("new.txt", Kind.CREATE),
        ("new.txt", Kind.WRITE),
        ("new.txt", Kind.CHMOD),
        ("old.txt", Kind.RENAME),
        ("moved.txt", Kind.CREATE),
        ("moved.txt", Kind.REMOVE),
    ]
    await eventually(lambda: _true(all(has(*each) for each in wanted)))
    made = next(each for each in heard if each.name == "new.txt" and each.type == Kind.CREATE)
    assert made.entry is not None
    assert made.entry.path == f"{folder}/new.txt"
    await watch.stop()
    count = len(heard)
    await sandbox.files.write(f"{folder}/later.txt", "x")
    await sandbox.commands.run("true")
    assert len(heard) == count


async def _true(value: bool) -> bool:
    return value


async def test_a_recursive_watch_covers_folders_made_later(sandbox: AsyncSandbox, folder: str) -> None:
    heard: list[FilesystemEvent] = []
    await sandbox.files.make_dir(f"{folder}/there")
    watch = await sandbox.files.watch_dir(folder, on_event=heard.append, recursive=True)
    await sandbox.files.write(f"{folder}/there/a.txt", "a")
    await sandbox.files.write(f"{folder}/made/later/b.txt", "b")
    await eventually(lambda: _true({"there/a.txt", "made/later/b.txt"} <= {each.name for each in heard}))
    await sandbox.files.write(f"{folder}/made/later/c.txt", "c")
    await eventually(lambda: _true("made/later/c.txt" in {each.name for each in heard}))
    await watch.stop()


async def test_a_watch_ends_with_its_time_and_only_folders_are_watched(sandbox: AsyncSandbox, folder: str) -> None:
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    await sandbox.files.watch_dir(folder, on_event=lambda _: None, on_exit=ended.set_result, timeout=0.5)
    assert isinstance(await asyncio.wait_for(ended, 10), TimeoutException)
    with pytest.raises(FileNotFoundException):
        await sandbox.files.watch_dir(f"{folder}/none", on_event=lambda _: None)
    await sandbox.files.write(f"{folder}/file", "x")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.watch_dir(f"{folder}/file", on_event=lambda _: None)


async def test_a_killed_sandbox_ends_its_streams(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=60, **options(e2b))
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    await sandbox.files.watch_dir("/tmp", on_event=lambda _: None, on_exit=ended.set_result, timeout=0)
    sleeper = await sandbox.commands.run("sleep 1000", background=True, timeout=0)
    await sandbox.kill()
    assert isinstance(await asyncio.wait_for(ended, 20), SandboxException)
    with pytest.raises(SandboxException):
        await asyncio.wait_for(sleeper.wait(), 20)
