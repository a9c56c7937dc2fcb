"""What a command in a sandbox may not do: no right of the machine's root, none of ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import attempt

if TYPE_CHECKING:
    from e2b import AsyncSandbox

    from tests.e2b_stage import Stage

pytestmark = pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine")


def host_processes(sandbox: AsyncSandbox) -> list[psutil.Process]:
    """Bubblewrap, which carries the sandbox's folder in its arguments, and what is below it."""
    found: list[psutil.Process] = []
    for each in psutil.process_iter():
        try:
            if any(sandbox.sandbox_id in word for word in each.cmdline()):
                found += [each, *each.children(recursive=True)]
        except psutil.Error:
            continue
    return found


def owner(path: str) -> int:
    return Path(path).stat().st_uid


async def test_read_only_mounts_cannot_be_made_writable(sandbox: AsyncSandbox) -> None:
    for place in ("/opt/node", "/usr", "/opt/mk0r"):
        code, said = await attempt(sandbox, f"mount -o remount,bind,rw {place} && touch {place}/escaped")
        assert code != 0, said
        assert (await attempt(sandbox, f"touch {place}/escaped"))[0] != 0
    assert (await attempt(sandbox, "umount /app/node_modules"))[0] != 0
    assert not (e2b_stage.find_node().root / "escaped").exists()


async def test_a_command_has_no_capability_and_no_way_to_one(sandbox: AsyncSandbox) -> None:
    _, status = await attempt(sandbox, "cat /proc/self/status")
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(values[name], 16) == 0, name
    assert values["NoNewPrivs"] == "1"


async def test_no_further_user_namespace_can_be_made(sandbox: AsyncSandbox) -> None:
    assert (await attempt(sandbox, "unshare --user true"))[0] != 0
    assert (await attempt(sandbox, "unshare --user --map-root-user --mount true"))[0] != 0


async def test_nothing_of_a_sandbox_is_the_hosts_root(sandbox: AsyncSandbox, stage: Stage) -> None:
    await sandbox.commands.run("sleep 1000", background=True)
    supervisor = psutil.Process(int((stage.home.twins / "e2b" / "supervisor.pid").read_text()))
    assert len(host_processes(sandbox)) > 2
    for each in [supervisor, *supervisor.children(recursive=True)]:
        assert 0 not in (*each.uids(), *each.gids()), each


async def test_a_command_holds_no_open_file_but_its_own(sandbox: AsyncSandbox) -> None:
    """The supervisor's socket would be the keys to every sandbox."""
    _, listed = await attempt(sandbox, "exec ls -l /proc/self/fd")
    opened = [line.split(" -> ")[1] for line in listed.splitlines() if " -> " in line]
    assert len(opened) == 4, listed
    assert not [target for target in opened if target.startswith(("socket:", "mnt:", "user:"))]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its identity up")
async def test_the_supervisor_cannot_be_traced_or_read(sandbox: AsyncSandbox, stage: Stage) -> None:
    """Sandboxes share its user. What is not dumpable belongs to root in /proc."""
    pid = int((stage.home.twins / "e2b" / "supervisor.pid").read_text())
    assert owner(f"/proc/{pid}/environ") == 0
    assert (await attempt(sandbox, f"kill -0 {pid} && grep -q supervisor /proc/{pid}/cmdline"))[0] != 0
