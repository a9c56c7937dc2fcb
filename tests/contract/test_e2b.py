"""E2B's control API, driven by its unmodified Python SDK: sandboxes from their making to their end."""

# pyright: reportUnknownMemberType=false
# (the SDK's `files.write` takes an `IO` of nothing in particular)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b import (
    AsyncSandbox,
    AuthenticationException,
    InvalidArgumentException,
    NotFoundException,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
)
from e2b.exceptions import SandboxException, SandboxNotRunningException

from tests.contract.e2b_sdk import eventually, options, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Opener, Service


@pytest.fixture(scope="module")
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


@pytest.fixture(scope="module")
async def sandbox(e2b: Service) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create(timeout=600, metadata={"of": "test_e2b"}, **options(e2b))
    yield sandbox
    await sandbox.kill()


async def test_a_sandbox_is_made_described_listed_and_killed(e2b: Service) -> None:
    name = unique()
    sandbox = await AsyncSandbox.create(timeout=120, metadata={"name": name}, envs={"A": "b"}, **options(e2b))
    info = await sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id
    assert info.metadata == {"name": name}
    assert info.state == SandboxState.RUNNING
    assert timedelta(seconds=100) < info.end_at - datetime.now(UTC) <= timedelta(seconds=121)
    listed = AsyncSandbox.list(query=SandboxQuery(metadata={"name": name}), **options(e2b))
    assert [each.sandbox_id for each in await listed.next_items()] == [sandbox.sandbox_id]
    assert await sandbox.is_running()
    assert await sandbox.kill()
    assert not await sandbox.is_running()
    assert not await sandbox.kill()
    with pytest.raises(SandboxNotFoundException):
        await sandbox.get_info()


async def test_one_idempotency_key_makes_one_sandbox(e2b: Service) -> None:
    key = unique("key")
    first = await AsyncSandbox.create(timeout=60, idempotency_key=key, **options(e2b))
    again = await AsyncSandbox.create(timeout=60, idempotency_key=key, **options(e2b))
    assert again.sandbox_id == first.sandbox_id
    with pytest.raises(SandboxException) as refused:
        await AsyncSandbox.create(timeout=61, idempotency_key=key, **options(e2b))
    assert refused.value.status_code == 409
    await first.kill()


async def test_metadata_is_found_whatever_letters_it_has(e2b: Service) -> None:
    metadata = {"name": unique(), "a key": "a b&c=d/ü%"}
    sandbox = await AsyncSandbox.create(timeout=60, metadata=metadata, **options(e2b))
    found = AsyncSandbox.list(query=SandboxQuery(metadata=metadata), **options(e2b))
    assert [each.sandbox_id for each in await found.next_items()] == [sandbox.sandbox_id]
    other = AsyncSandbox.list(query=SandboxQuery(metadata={**metadata, "a key": "a b"}), **options(e2b))
    assert await other.next_items() == []
    await sandbox.kill()


async def test_sandboxes_are_listed_by_state_time_and_order_in_pages(e2b: Service) -> None:
    name = {"name": unique()}
    made = [await AsyncSandbox.create(timeout=60, metadata=name, **options(e2b)) for _ in range(3)]
    await made[0].pause()

    async def ids(**asked: Any) -> list[str]:
        order = asked.pop("order", None)
        listed = AsyncSandbox.list(query=SandboxQuery(metadata=name, **asked), limit=2, order=order, **options(e2b))
        found: list[str] = []
        while listed.has_next:
            page = await listed.next_items()
            assert len(page) <= 2
            found += [each.sandbox_id for each in page]
        return found

    expected = [each.sandbox_id for each in made]
    assert await ids(order="asc") == expected
    assert await ids() == expected[::-1]
    assert await ids(state=[SandboxState.PAUSED]) == expected[:1]
    assert await ids(state=[SandboxState.RUNNING], order="asc") == expected[1:]
    since = (await made[2].get_info()).started_at
    assert await ids(started_after=since) == expected[2:]
    for each in made:
        await each.kill()


async def test_a_pause_keeps_memory_and_a_connect_brings_it_back(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, **options(e2b))
    counting = await sandbox.commands.run(
        "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.02; done", background=True, timeout=0
    )
    await eventually(lambda: sandbox.files.exists("/tmp/count"))
    assert await sandbox.pause()
    assert not await sandbox.pause()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    again = await AsyncSandbox.connect(sandbox.sandbox_id, timeout=120, **options(e2b))
    assert counting.pid in [each.pid for each in await again.commands.list()]
    await again.kill()


async def test_a_pause_of_the_files_alone_ends_the_processes(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, **options(e2b))
    sleeper = await sandbox.commands.run("sleep 1000", background=True, timeout=0)
    await sandbox.files.write("/tmp/kept.txt", "kept")
    assert await sandbox.pause(mode="filesystem")
    again = await AsyncSandbox.connect(sandbox.sandbox_id, timeout=120, **options(e2b))
    running = [each.args for each in await again.commands.list()]
    assert not any("sleep 1000" in " ".join(words) for words in running)
    assert sleeper.pid
    assert await again.files.read("/tmp/kept.txt") == "kept"
    await again.kill()


async def test_a_connect_may_reboot(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, **options(e2b))
    await sandbox.commands.run("sleep 1000", background=True, timeout=0)
    await sandbox.files.write("/tmp/kept.txt", "kept")
    await sandbox.pause()
    again = await AsyncSandbox.connect(sandbox.sandbox_id, on_resume="reboot", **options(e2b))
    assert not any("sleep 1000" in " ".join(each.args) for each in await again.commands.list())
    assert await again.files.read("/tmp/kept.txt") == "kept"
    await again.kill()


async def test_a_timeout_can_be_moved_and_a_connect_only_extends_it(e2b: Service, sandbox: AsyncSandbox) -> None:
    await sandbox.set_timeout(900)
    long = (await sandbox.get_info()).end_at
    await AsyncSandbox.connect(sandbox.sandbox_id, timeout=60, **options(e2b))
    assert (await sandbox.get_info()).end_at == long
    await sandbox.set_timeout(600)
    assert (await sandbox.get_info()).end_at < long


async def test_time_runs_out(e2b: Service) -> None:
    doomed = await AsyncSandbox.create(timeout=2, **options(e2b))
    sleepy = await AsyncSandbox.create(timeout=2, lifecycle={"on_timeout": "pause"}, **options(e2b))
    cold = await AsyncSandbox.create(
        timeout=2, lifecycle={"on_timeout": {"action": "pause", "mode": "filesystem"}}, **options(e2b)
    )

    async def is_gone() -> bool:
        try:
            await doomed.get_info()
        except SandboxNotFoundException:
            return True
        return False

    async def are_paused() -> bool:
        return {(await each.get_info()).state for each in (sleepy, cold)} == {SandboxState.PAUSED}

    await eventually(is_gone)
    await eventually(are_paused)
    for each in (sleepy, cold):
        assert (await each.get_info()).lifecycle == {"on_timeout": "pause", "auto_resume": False}
        await each.kill()


async def test_a_sandbox_that_may_wakes_for_a_command(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(
        timeout=60, lifecycle={"on_timeout": "pause", "auto_resume": True}, **options(e2b)
    )
    await sandbox.pause()
    assert (await sandbox.commands.run("echo awake")).stdout == "awake\n"
    assert (await sandbox.get_info()).state == SandboxState.RUNNING
    await sandbox.kill()


async def test_a_snapshot_outlives_its_sandbox_and_begins_others(e2b: Service) -> None:
    name = unique("snap")
    source = await AsyncSandbox.create(timeout=120, **options(e2b))
    await source.files.write("/tmp/note.txt", "from the snapshot")
    await source.commands.run("mkdir -p ~/deep && ln -s note ~/deep/link && chmod 700 ~/deep")
    taken = await source.create_snapshot(name=name)
    assert name in taken.snapshot_id
    assert await source.is_running()
    listed = await AsyncSandbox.list_snapshots(source.sandbox_id, **options(e2b)).next_items()
    assert [each.snapshot_id for each in listed] == [taken.snapshot_id]
    await source.kill()
    copy = await AsyncSandbox.create(taken.snapshot_id, timeout=60, **options(e2b))
    assert await copy.files.read("/tmp/note.txt") == "from the snapshot"
    assert (await copy.commands.run("readlink ~/deep/link; stat -c %a ~/deep")).stdout == "note\n700\n"
    await copy.kill()
    assert await AsyncSandbox.delete_snapshot(taken.snapshot_id, **options(e2b))
    assert not await AsyncSandbox.delete_snapshot(taken.snapshot_id, **options(e2b))
    with pytest.raises(SandboxException):
        await AsyncSandbox.create(taken.snapshot_id, **options(e2b))


async def test_a_fork_is_another_sandbox_with_the_same_files(e2b: Service) -> None:
    source = await AsyncSandbox.create(timeout=120, metadata={"name": unique()}, **options(e2b))
    await source.files.write("/tmp/note.txt", "before")
    forks = await source.fork(count=2, timeout=60)
    await source.files.write("/tmp/note.txt", "after")
    for fork in forks:
        assert isinstance(fork, AsyncSandbox)
        assert fork.sandbox_id != source.sandbox_id
        assert await fork.files.read("/tmp/note.txt") == "before"
        await fork.kill()
    assert await source.files.read("/tmp/note.txt") == "after"
    await source.kill()


async def test_metrics_say_what_is_used(sandbox: AsyncSandbox) -> None:
    async def measured() -> Any:
        found = await sandbox.get_metrics()
        return found[-1] if found else None

    busy = await sandbox.commands.run("while :; do :; done", background=True, timeout=0)

    async def busily() -> Any:
        sample = await measured()
        return sample if sample and sample.cpu_used_pct > 10 else None

    sample = await eventually(busily, 60)
    await busy.kill()
    assert sample.cpu_count >= 1
    assert sample.cpu_used_pct <= 100
    assert 1 << 20 < sample.mem_used < sample.mem_total
    assert 0 < sample.disk_used < sample.disk_total


async def test_a_private_sandbox_asks_for_its_traffic_token(e2b: Service) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, network={"allow_public_traffic": False}, **options(e2b))
    assert sandbox.traffic_access_token
    await sandbox.commands.run(
        "node -e \"require('http').createServer((q,s)=>s.end('in')).listen(4321)\"", background=True, timeout=0
    )
    scheme = "https" if e2b.live else "http"
    host = sandbox.get_host(4321)
    base = f"{scheme}://{host}" if e2b.live else e2b.direct_url
    headers = {"host": host}
    async with httpx.AsyncClient(trust_env=e2b.live) as client:
        assert (await client.get(base, headers=headers)).status_code == 403
        wrong = await client.get(base, headers={**headers, "e2b-traffic-access-token": "guessed"})
        assert wrong.status_code == 403
        right = {**headers, "e2b-traffic-access-token": sandbox.traffic_access_token}

        async def let_in() -> bool:
            return (await client.get(base, headers=right)).text == "in"

        await eventually(let_in)
    info = await sandbox.get_info()
    assert (info.network or {}).get("allow_public_traffic") is False
    await sandbox.kill()


async def test_the_server_hears_the_host_it_is_given(e2b: Service) -> None:
    mask = "${PORT}-app.example.com"
    sandbox = await AsyncSandbox.create(timeout=120, network={"mask_request_host": mask}, **options(e2b))
    await sandbox.commands.run(
        "node -e \"require('http').createServer((q,s)=>s.end(q.headers.host)).listen(4321)\"",
        background=True,
        timeout=0,
    )
    host = sandbox.get_host(4321)
    base = f"https://{host}" if e2b.live else e2b.direct_url
    async with httpx.AsyncClient(trust_env=e2b.live) as client:

        async def heard() -> str:
            answer = await client.get(base, headers={"host": host})
            return answer.text if answer.status_code == 200 else ""

        assert await eventually(heard) == "4321-app.example.com"
    await sandbox.kill()


async def test_network_rules_are_checked_told_and_replaced(sandbox: AsyncSandbox) -> None:
    with pytest.raises(SandboxException, match="ALL_TRAFFIC"):
        await sandbox.update_network({"allow_out": ["example.com"]})
    with pytest.raises(SandboxException, match="invalid denied CIDR"):
        await sandbox.update_network({"deny_out": ["example.com"]})
    await sandbox.update_network({"allow_out": ["example.com", "8.8.8.0/24"], "deny_out": ["0.0.0.0/0"]})
    told = (await sandbox.get_info()).network or {}
    assert told.get("allow_out") == ["example.com", "8.8.8.0/24"]
    assert told.get("deny_out") == ["0.0.0.0/0"]
    await sandbox.update_network({})
    told = (await sandbox.get_info()).network or {}
    assert not told.get("allow_out")
    assert not told.get("deny_out")


async def test_what_is_wrong_is_refused_as_e2b_refuses_it(e2b: Service) -> None:
    wrong: dict[str, Any] = {**options(e2b), "api_key": "e2b_" + "f" * 40}
    with pytest.raises(AuthenticationException):
        await AsyncSandbox.create(**wrong)
    with pytest.raises(SandboxException) as unknown:
        await AsyncSandbox.create(unique("no-template"), **options(e2b))
    assert unknown.value.status_code == 404
    with pytest.raises(SandboxException) as too_long:
        await AsyncSandbox.create(timeout=25 * 3600, **options(e2b))
    assert too_long.value.status_code == 400
    with pytest.raises(SandboxNotFoundException):
        await AsyncSandbox.connect("i" + "0" * 19, **options(e2b))
    with pytest.raises(NotFoundException):
        await AsyncSandbox.set_timeout("i" + "0" * 19, 60, **options(e2b))
    with pytest.raises((SandboxException, InvalidArgumentException)):
        await AsyncSandbox.create(timeout=-1, **options(e2b))


async def test_version_one_of_the_api_makes_resumes_and_lists(e2b: Service) -> None:
    headers = {"X-API-KEY": e2b.key}
    async with httpx.AsyncClient(base_url=e2b.base_url, headers=headers, timeout=60, trust_env=e2b.live) as api:
        made = (await api.post("/sandboxes", json={"templateID": "base", "timeout": 60, "secure": True})).json()
        path = f"/sandboxes/{made['sandboxID']}"
        assert made["envdAccessToken"]
        assert made["sandboxID"] in [each["sandboxID"] for each in (await api.get("/sandboxes")).json()]
        assert (await api.post(f"{path}/connect", json={"timeout": 60})).status_code == 200
        assert (await api.post(f"{path}/resume", json={"timeout": 60})).status_code == 409
        assert (await api.post(f"{path}/refreshes", json={"duration": 60})).status_code == 204
        assert (await api.post(f"{path}/pause")).status_code == 204
        assert made["sandboxID"] not in [each["sandboxID"] for each in (await api.get("/sandboxes")).json()]
        assert (await api.post(f"{path}/resume", json={"timeout": 60})).status_code == 201
        logs = (await api.get(f"/v2{path}/logs")).json()["logs"]
        assert all(entry["message"] for entry in logs)
        assert (await api.get(f"{path}/logs")).status_code == 200
        assert (await api.delete(path)).status_code == 204
