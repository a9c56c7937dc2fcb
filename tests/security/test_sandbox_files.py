"""What of the machine's files a sandbox cannot reach, itself or through the file service."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2b import FileNotFoundException, InvalidArgumentException, SandboxException

from server.twins.e2b import tier
from tests.e2b_stage import attempt

if TYPE_CHECKING:
    from pathlib import Path

    from e2b import AsyncSandbox

    from tests.e2b_stage import Stage

pytestmark = pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine")

ROOT = {
    *("app", "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "run", "sbin", "tmp"),
    *("usr", "var"),
}


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_hosts_files_are_not_there(sandbox: AsyncSandbox, stage: Stage, tmp_path: Path) -> None:
    for path in (tmp_path, stage.home.root, stage.home.stack, "/etc/shadow", "/home", "/var/lib", "/boot"):
        assert (await attempt(sandbox, f"ls {path}"))[0] != 0, path
    _, root = await attempt(sandbox, "ls /")
    assert set(root.split()) <= ROOT


async def test_a_planted_link_leads_the_file_service_nowhere_else(sandbox: AsyncSandbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    outside.chmod(0o666)
    await sandbox.commands.run(f"ln -s {outside} /app/file; ln -s {tmp_path} /app/folder; ln -s /etc /app/etc")
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read("/app/file")
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read("/app/etc/shadow")
    with pytest.raises(Exception, match=r"."):
        await sandbox.files.write("/app/folder/outside", "written")
    assert outside.read_text() == "untouched"
    assert names_in(tmp_path) == ["outside"]


async def test_a_planted_pipe_does_not_hang_the_file_service(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("mkfifo /app/pipe")
    with pytest.raises(Exception, match="regular file"):
        await sandbox.files.read("/app/pipe", request_timeout=20)
    with pytest.raises(SandboxException, match="error opening file"):
        await sandbox.files.write("/app/pipe", "x", request_timeout=20)


async def test_an_upload_to_a_folder_is_refused(sandbox: AsyncSandbox) -> None:
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.write("/app", "x")


async def test_a_login_shell_runs_nothing_of_the_hosts(sandbox: AsyncSandbox) -> None:
    assert (await attempt(sandbox, "ls /etc/profile /etc/profile.d /etc/bash.bashrc"))[1].count("No such file") == 3
    _, env = await attempt(sandbox, "env")
    names = {line.split("=")[0] for line in env.splitlines()}
    assert not names & {"SSH_AUTH_SOCK", "MK0R_HOME", "VIRTUAL_ENV", "XDG_RUNTIME_DIR"}
