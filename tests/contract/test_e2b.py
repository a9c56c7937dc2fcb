"""E2B's control API, driven by its unmodified Python SDK: sandboxes made, listed, copied, measured, refused."""

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
from e2b.exceptions import SandboxException

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
