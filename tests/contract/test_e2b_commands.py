"""Commands and terminals in an E2B sandbox, through its unmodified Python SDK."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from e2b import (
    AsyncSandbox,
    CommandExitException,
    InvalidArgumentException,
    NotFoundException,
    PtySize,
    TimeoutException,
)

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
    sandbox = await AsyncSandbox.create(timeout=600, envs={"OF": "the sandbox"}, **options(e2b))
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def folder(sandbox: AsyncSandbox) -> AsyncIterator[str]:
    path = f"/tmp/test-{os.urandom(4).hex()}"
    await sandbox.files.make_dir(path)
    yield path
    await sandbox.files.remove(path)


# Commands


async def test_a_command_gives_its_output_its_exit_code_and_its_errors(sandbox: AsyncSandbox) -> None:
    done = await sandbox.commands.run("echo $OF $MORE; echo problem >&2", envs={"MORE": "and more"})
    assert (done.stdout, done.stderr, done.exit_code) == ("the sandbox and more\n", "problem\n", 0)
    with pytest.raises(CommandExitException) as failed:
        await sandbox.commands.run("echo so far; exit 7")
    assert (failed.value.exit_code, failed.value.stdout) == (7, "so far\n")
    with pytest.raises(InvalidArgumentException):
        await sandbox.commands.run("true", cwd="/nowhere")


async def test_who_hangs_up_does_not_end_the_command(sandbox: AsyncSandbox, folder: str) -> None:
    running = await sandbox.commands.run(f"sleep 0.5; echo done > {folder}/end", background=True, timeout=0)
    await running.disconnect()
    await eventually(lambda: sandbox.files.exists(f"{folder}/end"))


async def test_a_running_command_can_be_connected_to(sandbox: AsyncSandbox) -> None:
    first = await sandbox.commands.run("read a; echo got $a; read b; echo got $b", background=True, stdin=True)
    await first.disconnect()
    heard: list[str] = []
    second = await sandbox.commands.connect(first.pid, on_stdout=heard.append)
    waiting = asyncio.create_task(second.wait())
    await sandbox.commands.send_stdin(first.pid, "one\n")
    await sandbox.commands.send_stdin(first.pid, "two\n")
    assert (await waiting).exit_code == 0
    assert "".join(heard) == "got one\ngot two\n"
    with pytest.raises(NotFoundException):
        await sandbox.commands.connect(first.pid)


async def test_input_streamed_in_order_arrives_in_order(sandbox: AsyncSandbox) -> None:
    cat = await sandbox.commands.run("cat", background=True, stdin=True, timeout=30)
    lines = "".join(f"{number}\n" for number in range(500))
    stream = sandbox.commands.stream_input(cat.pid)
    for at in range(0, len(lines), 100):
        await stream.send(lines[at : at + 100].encode())
    await stream.close()
    await sandbox.commands.close_stdin(cat.pid)
    assert (await cat.wait()).stdout == lines


async def test_a_command_ends_with_its_time(sandbox: AsyncSandbox) -> None:
    with pytest.raises(TimeoutException):
        await sandbox.commands.run("sleep 987", timeout=0.5)

    async def is_over() -> bool:
        return not any("sleep 987" in " ".join(each.args) for each in await sandbox.commands.list())

    await eventually(is_over)


async def test_a_killed_command_says_so(sandbox: AsyncSandbox) -> None:
    sleeper = await sandbox.commands.run("sleep 986", background=True, timeout=0)
    assert await sandbox.commands.kill(sleeper.pid)
    with pytest.raises(CommandExitException) as ended:
        await sleeper.wait()
    assert ended.value.exit_code != 0
    assert not await sandbox.commands.kill(sleeper.pid)


async def test_a_hundred_megabytes_pass_without_being_held(e2b: Service, sandbox: AsyncSandbox) -> None:
    before, held, heard = _held(e2b), 0, 0

    def hear(chunk: str) -> None:
        nonlocal held, heard
        heard += len(chunk)
        if heard % (10 << 20) < len(chunk):
            held = max(held, _held(e2b))

    done = await sandbox.commands.run(
        "head -c 100000000 /dev/zero | tr '\\0' x", on_stdout=hear, timeout=100, retain_output=False
    )
    assert done.exit_code == 0
    assert heard == 100_000_000
    assert held - before < 30 << 20


def _held(service: Service) -> int:
    """Bytes of memory the twin's process has in use; the vendor's are its own affair."""
    if service.stack is None:
        return 0
    import psutil

    port = urlsplit(service.direct_url).port
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.status == "LISTEN" and connection.pid:
            return psutil.Process(connection.pid).memory_info().rss
    raise AssertionError(resource.getpagesize())


# Terminals


async def test_a_terminal_is_made_resized_fed_and_killed(sandbox: AsyncSandbox) -> None:
    heard = bytearray()
    terminal = await sandbox.pty.create(PtySize(rows=20, cols=80), on_data=heard.extend, timeout=60)

    async def says(text: bytes) -> None:
        await eventually(lambda: _true(text in bytes(heard)))

    await sandbox.pty.send_stdin(terminal.pid, b"stty size\n")
    await says(b"20 80")
    await sandbox.pty.resize(terminal.pid, PtySize(rows=31, cols=99))
    await sandbox.pty.send_stdin(terminal.pid, b"stty size\n")
    await says(b"31 99")
    await terminal.disconnect()
    more = bytearray()
    again = await sandbox.pty.connect(terminal.pid, on_data=more.extend)
    await sandbox.pty.send_stdin(terminal.pid, b"echo again-$((40+2))\n")
    await eventually(lambda: _true(b"again-42" in bytes(more)))
    assert await sandbox.pty.kill(terminal.pid)
    with pytest.raises(CommandExitException):
        await again.wait()
    assert not await sandbox.pty.kill(terminal.pid)


async def _true(value: bool) -> bool:
    return value
