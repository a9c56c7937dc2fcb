"""What is inside an E2B sandbox, through its unmodified Python SDK: commands, terminals, files, watches."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import gzip
import io
import os
import resource
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from e2b import (
    AsyncSandbox,
    AuthenticationException,
    CommandExitException,
    FileNotFoundException,
    FilesystemEvent,
    FilesystemEventType,
    FileType,
    InvalidArgumentException,
    NotFoundException,
    PtySize,
    TimeoutException,
)
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


# Files


@pytest.mark.parametrize("octets", [False, True])
async def test_files_go_in_and_out_whole(sandbox: AsyncSandbox, folder: str, octets: bool) -> None:
    data = os.urandom(3_000_000)
    written = await sandbox.files.write(f"{folder}/deep/er/data.bin", data, use_octet_stream=octets)
    assert (written.name, written.type, written.path) == ("data.bin", FileType.FILE, f"{folder}/deep/er/data.bin")
    assert bytes(await sandbox.files.read(f"{folder}/deep/er/data.bin", format="bytes")) == data
    await sandbox.files.write(f"{folder}/deep/er/data.bin", "short", use_octet_stream=octets)
    assert await sandbox.files.read(f"{folder}/deep/er/data.bin") == "short"
    await sandbox.files.write(f"{folder}/empty", "", use_octet_stream=octets)
    assert await sandbox.files.read(f"{folder}/empty") == ""


async def test_files_go_in_and_out_packed_and_streamed(sandbox: AsyncSandbox, folder: str) -> None:
    text = "the same again\n" * 100_000
    await sandbox.files.write(f"{folder}/packed.txt", text, gzip=True)
    assert await sandbox.files.read(f"{folder}/packed.txt", gzip=True) == text
    await sandbox.files.write(f"{folder}/streamed.txt", io.BytesIO(text.encode()))
    stream = await sandbox.files.read(f"{folder}/streamed.txt", format="stream")
    assert b"".join([chunk async for chunk in stream]) == text.encode()


@pytest.mark.parametrize("octets", [False, True])
async def test_many_files_are_written_at_once(sandbox: AsyncSandbox, folder: str, octets: bool) -> None:
    files: list[Any] = [{"path": f"{folder}/{name}.txt", "data": name} for name in ("a", "b", "c")]
    written = await sandbox.files.write_files(files, use_octet_stream=octets)
    assert [each.path for each in written] == [each["path"] for each in files]
    assert [each.name for each in await sandbox.files.list(folder)] == ["a.txt", "b.txt", "c.txt"]


async def test_an_overwritten_file_keeps_its_mode_and_its_other_names(sandbox: AsyncSandbox, folder: str) -> None:
    await sandbox.files.write(f"{folder}/one", "first version, a long one")
    await sandbox.commands.run(f"chmod 640 {folder}/one; ln {folder}/one {folder}/two")
    await sandbox.files.write(f"{folder}/one", "second")
    assert await sandbox.files.read(f"{folder}/two") == "second"
    assert (await sandbox.files.get_info(f"{folder}/one")).mode == 0o640


async def test_a_file_carries_metadata(sandbox: AsyncSandbox, folder: str) -> None:
    path = f"{folder}/tagged.txt"
    written = await sandbox.files.write(path, "x", metadata={"author": "someone", "purpose": "test"})
    assert written.metadata == {"author": "someone", "purpose": "test"}
    assert (await sandbox.files.get_info(path)).metadata == {"author": "someone", "purpose": "test"}
    await sandbox.files.write(path, "y")
    assert not (await sandbox.files.get_info(path)).metadata


async def test_folders_are_made_listed_moved_and_removed(sandbox: AsyncSandbox, folder: str) -> None:
    assert await sandbox.files.make_dir(f"{folder}/a/b")
    assert not await sandbox.files.make_dir(f"{folder}/a/b")
    await sandbox.files.write(f"{folder}/a/b/c.txt", "c")
    await sandbox.commands.run(f"ln -s b {folder}/a/link")
    entries = {each.path: each for each in await sandbox.files.list(f"{folder}/a", depth=2)}
    assert sorted(entries) == [f"{folder}/a/b", f"{folder}/a/b/c.txt", f"{folder}/a/link"]
    assert entries[f"{folder}/a/b"].type == FileType.DIR
    assert entries[f"{folder}/a/b"].permissions.startswith("d")
    assert entries[f"{folder}/a/link"].type == FileType.SYMLINK
    assert entries[f"{folder}/a/link"].symlink_target
    moved = await sandbox.files.rename(f"{folder}/a/b/c.txt", f"{folder}/d.txt")
    assert (moved.path, moved.size) == (f"{folder}/d.txt", 1)
    await sandbox.files.remove(f"{folder}/a")
    assert not await sandbox.files.exists(f"{folder}/a")


async def test_what_cannot_be_done_with_files_is_told(sandbox: AsyncSandbox, folder: str) -> None:
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read(f"{folder}/none")
    with pytest.raises(FileNotFoundException):
        await sandbox.files.list(f"{folder}/none")
    with pytest.raises(FileNotFoundException):
        await sandbox.files.get_info(f"{folder}/none")
    with pytest.raises(FileNotFoundException):
        await sandbox.files.rename(f"{folder}/none", f"{folder}/some")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.read(folder)
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.write(folder, "a folder cannot be written")
    await sandbox.files.write(f"{folder}/file", "x")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.list(f"{folder}/file")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.make_dir(f"{folder}/file")
    with pytest.raises(AuthenticationException):
        await sandbox.files.read(f"{folder}/file", user="nobody-there")
    with pytest.raises(AuthenticationException):
        await sandbox.commands.run("true", user="nobody-there")


async def test_a_signed_address_opens_one_file_for_its_time(e2b: Service, sandbox: AsyncSandbox, folder: str) -> None:
    path = f"{folder}/signed file.txt"
    async with httpx.AsyncClient(trust_env=e2b.live) as anybody:
        up = sandbox.upload_url(path, use_signature_expiration=60)
        assert (await anybody.post(up, files={"file": ("x", b"from outside")})).status_code == 200
        assert await sandbox.files.read(path) == "from outside"
        down = sandbox.download_url(path)
        assert (await anybody.get(down)).text == "from outside"
        part = await anybody.get(down, headers={"range": "bytes=5-11"})
        assert (part.status_code, part.text) == (206, "outside")
        for wrong in (
            down.replace("signed", "another"),
            up,
            down.split("&signature=")[0],
            sandbox.download_url(path, use_signature_expiration=-5),
        ):
            refused = await anybody.get(wrong, headers=_named(e2b, sandbox))
            assert refused.status_code == 401, wrong
    assert parse_qs(urlsplit(up).query)["signature_expiration"]


def _named(service: Service, sandbox: AsyncSandbox) -> dict[str, str]:
    """One base address for all sandboxes says nothing of which: then the header does."""
    return {} if service.live else {"e2b-sandbox-id": sandbox.sandbox_id}


async def test_a_body_that_is_not_what_it_says_is_refused(e2b: Service, sandbox: AsyncSandbox, folder: str) -> None:
    url = sandbox.upload_url(f"{folder}/bad")
    async with httpx.AsyncClient(trust_env=e2b.live) as anybody:
        kinds = {"content-type": "application/octet-stream", "content-encoding": "gzip"}
        assert (await anybody.post(url, content=b"not packed", headers=kinds)).status_code == 400
        cut = gzip.compress(os.urandom(5000))[:2000]
        assert (await anybody.post(url, content=cut, headers=kinds)).status_code == 400
        assert (await anybody.post(url, content=b"x", headers={"content-type": "text/plain"})).status_code == 400


# Watching


Kind = FilesystemEventType


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
