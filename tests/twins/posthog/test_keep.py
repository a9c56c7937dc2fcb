"""The PostHog twin as a whole: what a person sees of it, what survives, and what it does not grow beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.twins.posthog.store import Store
from tests.twins.posthog.stage import GROUP, KEY, Stage, an_event, rollout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def seen(posthog: Stage, at: str = "") -> str:
    return str(await posthog.twin("GET", "view", params={"at": at}))


async def test_a_person_sees_events_groups_persons_flags_and_no_secret(posthog: Stage) -> None:
    secret = (await posthog.key("query:read"))["Authorization"].removeprefix("Bearer ")
    told = {"$group_type": "app", "$group_key": GROUP, "$group_set": {"tier": "gold"}}
    await posthog.capture(an_event(), {"event": "$groupidentify", "distinct_id": "p", "properties": told})
    flag = await posthog.flag("beta", filters=rollout(20))
    front = await seen(posthog)
    for shown in ("tab_opened", GROUP, "u1", "beta", f"phx_…{secret[-4:]}"):
        assert shown in front
    assert secret not in front
    event, *_ = await posthog.captured()
    assert '\'text\': \'{\\n  "tab": "home"' in await seen(posthog, f"event/{event['uuid']}")
    assert "tab_opened" in await seen(posthog, f"person/{event['person_id']}")
    group = await seen(posthog, f"group/0:{GROUP}")
    assert "gold" in group
    assert "tab_opened" in group
    assert "rollout_percentage" in await seen(posthog, f"flag/{flag['id']}")
    for nothing in ("event/x", "person/x", "group/9:x", "group/x", "flag/99", "what"):
        answer = await posthog.http.get(
            "/_twin/view", params={"at": nothing}, headers={"Authorization": "Bearer admin-token"}
        )
        assert answer.status_code == 404


async def test_everything_survives_the_twins_end(posthog: Stage) -> None:
    key = await posthog.key()
    await posthog.capture(an_event())
    await posthog.flag("beta")
    await posthog.close()
    await posthog.open()
    assert len(await posthog.captured()) == 1
    assert (await posthog.http.get("/api/projects/1/feature_flags/", headers=key)).json()["count"] == 1


async def test_a_snapshot_brings_back_what_was_and_a_reset_leaves_the_project(posthog: Stage) -> None:
    key = await posthog.key()
    await posthog.capture(an_event())
    await posthog.flag("beta")
    await posthog.twin("POST", "snapshots", json={"name": "before"})
    await posthog.twin("POST", "reset")
    assert await posthog.captured() == []
    assert (await posthog.http.get("/api/projects/1/", headers=key)).status_code == 401
    assert (await posthog.flags())["flags"] == {}
    assert (await posthog.capture(an_event("later"))).status_code == 200, "the project key is still good"
    await posthog.twin("POST", "snapshots/before/restore")
    assert [event["event"] for event in await posthog.captured()] == ["tab_opened"]
    assert (await posthog.http.get("/api/projects/1/feature_flags/", headers=key)).json()["count"] == 1


async def test_the_scripts_are_those_of_the_installed_package(tmp_path: Path) -> None:
    scripts = tmp_path / "dist"
    scripts.mkdir()
    (scripts / "array.js").write_text("window.posthog=1")
    (tmp_path / "secret.js").write_text("no")
    posthog = Stage(tmp_path / "twin", scripts)
    await posthog.open()
    for path in ("/static/array.js", "/static/1.449.2/array.js"):
        assert (await posthog.http.get(path)).text == "window.posthog=1"
    whole = await posthog.http.get(f"/array/{KEY}/array.js")
    assert whole.text.startswith("(function(){window._POSTHOG_REMOTE_CONFIG=")
    assert whole.text.endswith("window.posthog=1")
    for path in ("/static/toolbar.js", "/static/%2e%2e/secret.js", "/static/..%2fsecret.js", "/static/array.js/"):
        assert (await posthog.http.get(path)).status_code == 404
    await posthog.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "posthog.sqlite")
    yield store
    store.close()


def fill(store: Store, count: int, size: int = 10) -> None:
    times = (f"2026-11-23 {number // 60:02}:{number % 60:02}:00.000000" for number in range(count))
    with store.together():
        store.add_events(
            [
                (f"uuid-{number}", "e", "u", "p", when, when, "", GROUP, "", "", "", "", "{}", size)
                for number, when in enumerate(times)
            ]
        )


def test_the_oldest_events_give_way(store: Store) -> None:
    fill(store, 1000)
    store.prune(most_events=900)
    kept = [row["uuid"] for row in store.all("select uuid from event order by seq")]
    assert 850 <= len(kept) <= 900
    assert kept[-1] == "uuid-999"
    store.prune(most_bytes=1000)
    assert len(store.all("select 1 from event")) <= 100


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("where group_0 = 'x' order by timestamp desc limit 10", "event_by_group_0"),
        ("where event = 'x' and timestamp > '2026'", "event_by_name"),
        ("where distinct_id = 'x'", "event_by_distinct_id"),
        ("where timestamp > '2026' order by timestamp desc", "event_by_time"),
    ],
)
def test_what_is_often_asked_never_reads_every_event(store: Store, asked: str, index: str) -> None:
    fill(store, 2000)
    plan = store.one(f"explain query plan select uuid from event {asked}")
    assert plan is not None
    assert index in plan["detail"]
