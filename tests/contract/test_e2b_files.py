"""Files in an E2B sandbox, through its unmodified Python SDK and by signed addresses."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import gzip
import io
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from e2b import AsyncSandbox, AuthenticationException, FileNotFoundException, FileType, InvalidArgumentException

from tests.contract.e2b_sdk import options

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
