"""E2B's unmodified SDKs beside the asynchronous one: Python's plain one, and JavaScript's."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from e2b import CommandExitException, FileNotFoundException, Sandbox
from e2b.exceptions import SandboxNotRunningException

from tests.contract.e2b_sdk import options, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.contract.conftest import Opener, Service


@pytest.fixture(scope="module")
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


async def test_the_plain_python_sdk_does_the_same(e2b: Service) -> None:
    await asyncio.to_thread(_a_day_of_a_sandbox, options(e2b))


def _a_day_of_a_sandbox(given: dict[str, Any]) -> None:
    sandbox = Sandbox.create(timeout=120, metadata={"name": unique()}, **given)
    assert sandbox.commands.run("echo hello").stdout == "hello\n"
    with pytest.raises(CommandExitException):
        sandbox.commands.run("exit 1")
    sandbox.files.write("/tmp/day/a.txt", "a")
    assert sandbox.files.read("/tmp/day/a.txt") == "a"
    with pytest.raises(FileNotFoundException):
        sandbox.files.read("/tmp/day/none")
    watch = sandbox.files.watch_dir("/tmp/day", include_entry=True)
    sandbox.files.write("/tmp/day/b.txt", "b")
    names = {(event.name, event.type.value) for event in watch.get_new_events()}
    assert {("b.txt", "create"), ("b.txt", "write")} <= names
    assert watch.get_new_events() == []
    watch.stop()
    with pytest.raises(Exception, match="stopped"):
        watch.get_new_events()
    cat = sandbox.commands.run("cat", background=True, stdin=True)
    sandbox.commands.send_stdin(cat.pid, "fed")
    sandbox.commands.close_stdin(cat.pid)
    assert cat.wait().stdout == "fed"
    sandbox.pause()
    with pytest.raises(SandboxNotRunningException):
        sandbox.commands.run("true")
    again = Sandbox.connect(sandbox.sandbox_id, **given)
    assert again.files.read("/tmp/day/b.txt") == "b"
    taken = again.create_snapshot()
    copy = Sandbox.create(taken.snapshot_id, timeout=60, **given)
    assert copy.files.read("/tmp/day/a.txt") == "a"
    assert copy.kill()
    assert Sandbox.delete_snapshot(taken.snapshot_id, **given)
    assert again.kill()


async def test_the_javascript_sdk_is_content(e2b: Service, node_tests: Callable[..., Any]) -> None:
    script = Path(__file__).parent / "e2b" / "sandbox.test.mjs"
    given = {"E2B_API_KEY": e2b.key, "LIVE": "1"} if e2b.live else {
        "E2B_API_KEY": e2b.key, "E2B_API_URL": e2b.base_url, "E2B_SANDBOX_URL": e2b.direct_url,
    }  # fmt: skip
    await node_tests(script, **given)
