"""PostHog through its unmodified SDKs: `posthog` for Python here, for Node in `posthog/`, for pages in a browser."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from posthog import Posthog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.contract.conftest import Service

HERE = Path(__file__).parent / "posthog"
PERSONAL_KEY = os.environ.get("POSTHOG_PERSONAL_API_KEY", "")
SECONDS, LIVE_SECONDS = 10, 120
"""How long an event may take until a query finds it."""


class Project:
    """The project as its owner sees it, with a personal key. Flags made here are deleted in the end."""

    def __init__(self, service: Service, key: str) -> None:
        self.service = service
        self.key = key
        self.app = f"mk0r-test-{secrets.token_hex(6)}"
        host = "https://us.posthog.com" if service.live else service.direct_url
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=f"{host}/api/projects/@current/", headers=headers, timeout=30)
        self._flags: list[int] = []

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self._http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def flag(self, name: str, filters: Any) -> str:
        """A flag of this test's own; gives its key."""
        made = await self.call("POST", "feature_flags/", {"key": f"{self.app}-{name}", "filters": filters})
        self._flags.append(made["id"])
        return made["key"]

    async def rows(self, columns: str, condition: str, at_least: int = 1) -> list[list[Any]]:
        """What a query finds of this test's group, as soon as there is as much."""
        where = f"properties.$groups.app = '{self.app}' and {condition}"
        hogql = f"select {columns} from events where {where} order by timestamp"
        body = {"query": {"kind": "HogQLQuery", "query": hogql}, "refresh": "force_blocking"}
        async with asyncio.timeout(LIVE_SECONDS if self.service.live else SECONDS):
            while len(found := (await self.call("POST", "query/", body))["results"]) < at_least:  # noqa: ASYNC110 - over the wire
                await asyncio.sleep(5 if self.service.live else 0)
        return found

    async def close(self) -> None:
        for flag in self._flags:
            await self.call("PATCH", f"feature_flags/{flag}/", {"deleted": True})
        await self._http.aclose()


@pytest.fixture
async def project(posthog: Service) -> AsyncIterator[Project]:
    key = PERSONAL_KEY
    if posthog.live and not key:
        pytest.skip("what was captured is read back with POSTHOG_PERSONAL_API_KEY")
    if posthog.stack:
        key = (await posthog.stack.twin("posthog", "POST", "keys", {}))["value"]
    found = Project(posthog, key)
    yield found
    await found.close()


@pytest.fixture
def sdk(project: Project) -> Iterator[Callable[..., Posthog]]:
    """Makes clients that are shut down in the end."""
    clients: list[Posthog] = []

    def make(**options: Any) -> Posthog:
        client = Posthog(project.service.key, host=project.service.base_url, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.shutdown()


def rollout(percentage: int | None, *wanted: Any, **more: Any) -> Any:
    return {"groups": [{"properties": [*wanted], "rollout_percentage": percentage}], **more}


def is_pro(kind: str = "person", **more: Any) -> Any:
    return {"key": "plan", "value": "pro", "operator": "exact", "type": kind, **more}


Make = Callable[..., Posthog]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gzip": True},
        {"historical_migration": True},
        {"capture_mode": "v1"},
        {"capture_mode": "v1", "capture_compression": "gzip"},
        {"capture_mode": "v1", "capture_compression": "deflate"},
        {"sync_mode": True},
    ],
)
async def test_python_captures_in_every_mode(project: Project, sdk: Make, options: Any) -> None:
    client = sdk(**options)
    client.capture("saved", distinct_id="u1", properties={"size": 5}, groups={"app": project.app})
    client.flush()
    ((event, distinct_id, size, library),) = await project.rows(
        "event, distinct_id, properties.size, properties.$lib", "event = 'saved'"
    )
    assert (event, distinct_id, size, library) == ("saved", "u1", 5, "posthog-python")


async def test_python_hears_of_what_was_not_taken(project: Project) -> None:
    failed: list[Any] = []

    def hear(error: Any, _batch: Any) -> None:
        failed.append(error)

    client = Posthog("phx_a_personal_key", host=project.service.base_url, on_error=hear, max_retries=0)
    client.capture("saved", distinct_id="u1")
    client.flush()
    client.shutdown()
    (error,) = failed
    assert str(error) == "[PostHog] API key is not valid: personal_api_key (401)"


async def test_python_sets_aliases_and_groups(project: Project, sdk: Make) -> None:
    client = sdk()
    person = f"{project.app}-ann"
    client.set(distinct_id=person, properties={"plan": "pro"})
    client.alias(previous_id=f"{project.app}-anon", distinct_id=person)
    client.group_identify("app", project.app, {"name": "My app"})
    client.capture("saved", distinct_id=f"{project.app}-anon", groups={"app": project.app})
    client.flush()
    ((plan, name),) = await project.rows("person.properties.plan, group_0.properties.name", "event = 'saved'")
    assert (plan, name) == ("pro", "My app")


async def test_python_captures_exceptions(project: Project, sdk: Make) -> None:
    client = sdk()
    try:
        int("it went wrong")
    except ValueError as error:
        client.capture_exception(error, distinct_id="u1", groups={"app": project.app})
    client.flush()
    ((listed,),) = await project.rows("properties.$exception_list", "event = '$exception'")
    assert "it went wrong" in listed


async def test_python_asks_flags_of_the_server(project: Project, sdk: Make) -> None:
    variants = [{"key": "wide", "rollout_percentage": 100}]
    payloads = {"wide": '{"columns": 3}'}
    layout = await project.flag("layout", rollout(100, multivariate={"variants": variants}, payloads=payloads))
    pro = await project.flag("pro", rollout(100, is_pro()))
    nobody = await project.flag("nobody", rollout(0))
    client = sdk()
    flags = client.evaluate_flags("u1", person_properties={"plan": "pro"})
    assert flags.get_flag(layout) == "wide"
    assert flags.get_flag_payload(layout) == {"columns": 3}
    assert (flags.is_enabled(pro), flags.is_enabled(nobody)) == (True, False)
    assert client.evaluate_flags("u1").is_enabled(pro) is False
    client.capture("saved", distinct_id="u1", flags=flags, groups={"app": project.app})
    client.flush()
    ((told,),) = await project.rows(f"properties['$feature/{layout}']", "event = 'saved'")
    assert told == "wide"


async def test_python_decides_flags_itself_as_the_server_does(project: Project, sdk: Make) -> None:
    half = await project.flag("half", rollout(50))
    pro = await project.flag("pro", rollout(None, is_pro()))
    variants = [{"key": key, "rollout_percentage": part} for key, part in (("a", 30), ("b", 70))]
    split = await project.flag("split", rollout(80, multivariate={"variants": variants}, payloads={"a": '"first"'}))
    local, remote = sdk(secret_key=project.key, poll_interval=60), sdk()
    await asyncio.to_thread(local.load_feature_flags)
    for number in range(12):
        told = {"plan": "pro" if number % 2 else "free"}
        mine = local.evaluate_flags(f"u{number}", person_properties=told, only_evaluate_locally=True)
        theirs = remote.evaluate_flags(f"u{number}", person_properties=told)
        for key in (half, pro, split):
            assert mine.get_flag(key) == theirs.get_flag(key), (number, key)
            assert mine.get_flag_payload(key) == theirs.get_flag_payload(key)


async def test_python_evaluates_a_flag_of_a_group(project: Project, sdk: Make) -> None:
    client = sdk(secret_key=project.key)
    client.group_identify("app", project.app, {"plan": "pro"})
    client.capture("saved", distinct_id="u1", groups={"app": project.app})
    client.flush()
    await project.rows("event", "event = 'saved'")
    types = await project.call("GET", "groups_types/")
    index = next(each["group_type_index"] for each in types if each["group_type"] == "app")
    filters = rollout(None, is_pro("group", group_type_index=index), aggregation_group_type_index=index)
    key = await project.flag("group", filters)
    await asyncio.to_thread(client.load_feature_flags)
    groups = {"app": project.app}
    assert client.evaluate_flags("u1", groups=groups).is_enabled(key) is True
    local = client.evaluate_flags(
        "u1", groups=groups, group_properties={"app": {"plan": "free"}}, only_evaluate_locally=True
    )
    assert local.is_enabled(key) is False


async def test_python_reads_remote_configuration(project: Project, sdk: Make) -> None:
    key = await project.flag("limits", rollout(100, payloads={"true": '{"limit": 5}'}))
    (flag,) = (await project.call("GET", f"feature_flags/?search={key}"))["results"]
    await project.call("PATCH", f"feature_flags/{flag['id']}/", {"is_remote_configuration": True})
    client = sdk(secret_key=project.key, enable_local_evaluation=False)
    assert await asyncio.to_thread(client.get_remote_config_payload, key) == '{"limit": 5}'


async def test_node_does_the_same(project: Project, node_tests: Callable[..., Awaitable[None]]) -> None:
    variants = [{"key": "wide", "rollout_percentage": 100}]
    payloads = {"wide": '{"columns": 3}'}
    layout = await project.flag("layout", rollout(100, multivariate={"variants": variants}, payloads=payloads))
    pro = await project.flag("pro", rollout(None, is_pro()))
    await node_tests(
        HERE / "node.test.mjs",
        POSTHOG_HOST=project.service.base_url,
        POSTHOG_KEY=project.service.key,
        POSTHOG_PERSONAL_API_KEY=project.key,
        APP=project.app,
        LAYOUT=layout,
        PRO=pro,
    )
    names = {row[0] for row in await project.rows("event", "distinct_id like '%-node-%'", at_least=7)}
    assert names >= {"saved", "v1", "immediate", "$exception"}
    (known, *_) = await project.rows("person.properties.plan", "event = 'identified'")
    assert known == ["pro"]
