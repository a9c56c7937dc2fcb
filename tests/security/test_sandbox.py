"""What code in a sandbox cannot do. Each test is an attempt."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from e2b import AsyncSandbox, CommandExitException, FileNotFoundException, InvalidArgumentException

from server.twins.e2b import tier
from tests import e2b_stage
from tests.e2b_stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine")


ROOT = set("app bin dev etc lib lib32 lib64 libx32 opt proc root run sbin tmp usr var".split())  # noqa: SIM905


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65536)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    writer.close()


class Host:
    """Two services of this machine: one handed in, one not."""

    def __init__(self, given: asyncio.Server, kept: asyncio.Server) -> None:
        self.servers = (given, kept)
        self.given, self.kept = (server.sockets[0].getsockname()[1] for server in self.servers)


@pytest.fixture(scope="module")
async def host() -> AsyncIterator[Host]:
    host = Host(await asyncio.start_server(greet, "127.0.0.1", 0), await asyncio.start_server(greet, "127.0.0.1", 0))
    yield host
    for server in host.servers:
        server.close()


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, host: Host) -> AsyncIterator[Stage]:
    home = e2b_stage.make_home(tmp_path_factory.mktemp("home"))
    services = {"neon": host.given, "mail": host.given}
    async with staged(home, services=services, registry=f"http://localhost:{host.given}/") as stage:
        yield stage
    e2b_stage.unmake_home(home)


@pytest.fixture
async def sandbox(stage: Stage) -> AsyncIterator[AsyncSandbox]:
    sandbox = await stage.create()
    yield sandbox
    await sandbox.kill()


async def attempt(sandbox: AsyncSandbox, command: str, seconds: float = 20) -> tuple[int, str]:
    """The exit code and all output."""
    try:
        done = await sandbox.commands.run(command, timeout=seconds)
    except CommandExitException as failed:
        return failed.exit_code, failed.stdout + failed.stderr
    return 0, done.stdout + done.stderr


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
    assert os.listdir(tmp_path) == ["outside"]  # noqa: PTH208 - as good


async def test_a_planted_pipe_does_not_hang_the_file_service(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("mkfifo /app/pipe")
    async with asyncio.timeout(5):
        with pytest.raises(Exception, match="regular file"):
            await sandbox.files.read("/app/pipe")
        with pytest.raises(Exception, match=r"."):
            await sandbox.files.write("/app/pipe", "x")


async def test_only_what_was_handed_in_answers_on_loopback(sandbox: AsyncSandbox, host: Host, stage: Stage) -> None:
    asked = "curl -sS --noproxy '*' --max-time 5 http://127.0.0.1:{}/"
    assert await attempt(sandbox, asked.format(host.given)) == (0, "hello")
    for port in (host.kept, stage.port):
        assert (await attempt(sandbox, asked.format(port)))[0] != 0
    _, links = await attempt(sandbox, "tail -n +3 /proc/net/dev")
    assert [line.split(":")[0].strip() for line in links.splitlines()] == ["lo"]


async def test_tls_on_443_is_the_databases_and_is_trusted(sandbox: AsyncSandbox) -> None:
    asked = "fetch('https://localhost/sql').then(r => r.text()).then(t => console.log(t))"
    assert await attempt(sandbox, f'node -e "{asked}"') == (0, "hello\n")


async def test_the_way_out_lets_through_the_named_hosts_only(stage: Stage, sandbox: AsyncSandbox, host: Host) -> None:
    asked = (
        "curl -sS --noproxy '' -x http://127.0.0.1:3128 --max-time 10 -o /dev/null -w '%{http_connect}%{http_code}' "
    )
    assert (await attempt(sandbox, asked + f"http://localhost:{host.given}/"))[1] == "000200"
    assert "403" in (await attempt(sandbox, asked + "https://example.com/"))[1]
    assert "403" in (await attempt(sandbox, asked + f"http://127.0.0.1:{host.kept}/"))[1]
    # Named in the request, but leading back into this machine: the name is let through, the address is not.
    other = await stage.create(network={"allow_out": ["localhost"], "deny_out": ["0.0.0.0/0"]})
    assert "502" in (await attempt(other, asked + "https://localhost/"))[1]
    await other.kill()


async def test_a_second_request_on_one_connection_cannot_name_another_host(sandbox: AsyncSandbox, host: Host) -> None:
    first = f"GET http://localhost:{host.given}/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
    second = f"GET http://127.0.0.1:{host.kept}/ HTTP/1.1\\r\\nHost: b\\r\\n\\r\\n"
    _, said = await attempt(
        sandbox, f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{first}{second}' >&3; timeout 5 cat <&3"
    )
    assert said.count("hello") == 1


async def test_one_session_sees_nothing_of_another(stage: Stage, sandbox: AsyncSandbox) -> None:
    other = await stage.create()
    await other.files.write("/app/.env", "SECRET='other'\n")
    await other.commands.run("exec -a betrayer sleep 1000", background=True)
    await other.commands.run("python3 -m http.server 8765 --bind 127.0.0.1 >/dev/null 2>&1", background=True)
    _, seen = await attempt(sandbox, "ls /proc | grep -c '^[0-9]'; cat /proc/*/cmdline | tr '\\0' ' '")
    assert "betrayer" not in seen
    assert (await attempt(sandbox, "cat /app/.env"))[0] != 0
    assert (await attempt(sandbox, "curl -s --noproxy '*' --max-time 2 http://127.0.0.1:8765/"))[0] != 0
    token = other.connection_config.sandbox_headers.get("X-Access-Token", "")
    async with httpx.AsyncClient(trust_env=False, base_url=stage.base) as client:
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token}
        assert (await client.get("/files?path=/app/dev.mjs", headers=headers)).status_code == 401
    await other.kill()


async def test_a_sandbox_that_stops_whatever_is_born_in_it_stops_nobody_else(
    stage: Stage, sandbox: AsyncSandbox
) -> None:
    await sandbox.commands.run(
        "me=$$; while :; do for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p -gt $me ] && kill -STOP $p; done; done 2>&1",
        background=True,
        timeout=0,
    )
    stuck = asyncio.create_task(attempt(sandbox, "true", seconds=1))
    other = await stage.create()
    async with asyncio.timeout(10):
        assert await attempt(other, "echo fine") == (0, "fine\n")
        assert "createServer" in await sandbox.files.read("/app/dev.mjs")
    await asyncio.gather(stuck, return_exceptions=True)
    await other.kill()


async def test_a_fork_bomb_stays_in_its_sandbox(stage: Stage, sandbox: AsyncSandbox) -> None:
    bomb = "bomb() { bomb | bomb & }; bomb"
    await sandbox.commands.run(f"timeout 20 bash -c '{bomb}; sleep 20' >/dev/null 2>&1", background=True)
    other = await stage.create()
    async with asyncio.timeout(30):
        assert await attempt(other, "echo fine") == (0, "fine\n")
        await sandbox.pause()
    await other.kill()


async def test_no_file_grows_beyond_its_limit_and_no_core_is_left(sandbox: AsyncSandbox) -> None:
    code, _ = await attempt(sandbox, "truncate -s 3G /app/big")
    assert code != 0
    assert (await attempt(sandbox, "ulimit -c; ulimit -Hc"))[1] == "0\n0\n"


async def test_output_nobody_reads_does_not_fill_the_twins_memory(stage: Stage, sandbox: AsyncSandbox) -> None:
    body = b'{"process":{"cmd":"/bin/cat","args":["/dev/zero"]},"stdin":false}'
    headers = {
        **sandbox.connection_config.sandbox_headers,
        "E2b-Sandbox-Id": sandbox.sandbox_id,
        "Content-Type": "application/connect+json",
        "Connect-Protocol-Version": "1",
    }
    before = psutil.Process().memory_info().rss
    async with httpx.AsyncClient(trust_env=False, base_url=stage.base) as client:
        content = b"\0" + len(body).to_bytes(4, "big") + body
        async with client.stream("POST", "/process.Process/Start", headers=headers, content=content) as answer:
            assert answer.status_code == 200
            end = time.monotonic() + 2
            while time.monotonic() < end:  # the flood runs, and we let it
                assert psutil.Process().memory_info().rss - before < 60_000_000
                await asyncio.sleep(0.1)


async def test_a_login_shell_runs_nothing_of_the_hosts(sandbox: AsyncSandbox) -> None:
    assert (await attempt(sandbox, "ls /etc/profile /etc/profile.d /etc/bash.bashrc"))[1].count("No such file") == 3
    _, env = await attempt(sandbox, "env")
    names = {line.split("=")[0] for line in env.splitlines()}
    assert not names & {"SSH_AUTH_SOCK", "MK0R_HOME", "VIRTUAL_ENV", "XDG_RUNTIME_DIR"}


async def test_an_upload_to_a_folder_is_refused(sandbox: AsyncSandbox) -> None:
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.write("/app", "x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its identity up")
async def test_the_supervisor_cannot_be_traced_or_read(sandbox: AsyncSandbox, stage: Stage) -> None:
    """Sandboxes share its user. What is not dumpable belongs to root in /proc."""
    pid = int((stage.home.twins / "e2b" / "supervisor.pid").read_text())
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # noqa: PTH116 - a kernel file
    assert (await attempt(sandbox, f"kill -0 {pid} && grep -q supervisor /proc/{pid}/cmdline"))[0] != 0
