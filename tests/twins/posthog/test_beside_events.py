"""The PostHog twin: what comes beside events, recordings and telemetry, and what an SDK asks before it begins."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.twins.posthog.stage import KEY

if TYPE_CHECKING:
    from tests.twins.posthog.stage import Doc, Stage


async def test_a_recording_is_counted_by_session(posthog: Stage) -> None:
    snapshot: Doc = {
        "$session_id": "s1",
        "$window_id": "w1",
        "$snapshot_data": [{}, {}],
        "token": KEY,
        "distinct_id": "u1",
    }
    body = {"api_key": KEY, "batch": [{"event": "$snapshot", "properties": snapshot}]}
    for _ in range(2):
        assert (await posthog.http.post("/s/", content=gzip.compress(json.dumps(body).encode()))).status_code == 200
    (recording,) = (await posthog.twin("GET", "recordings"))["recordings"]
    assert (recording["session_id"], recording["distinct_id"], recording["snapshots"]) == ("s1", "u1", 4)
    assert await posthog.captured() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"$session_id": None}, "replay event submitted without session id"),
        ({"$session_id": "x" * 71}, "replay event has invalid session id"),
        ({"$snapshot_data": None}, "replay event submitted without snapshot data"),
        ({"distinct_id": None}, "event submitted without a distinct_id"),
    ],
)
async def test_a_recording_that_is_none_is_refused(posthog: Stage, changed: dict[str, Any], said: str) -> None:
    snapshot: Doc = {"$session_id": "s1", "$snapshot_data": [{}], "token": KEY, "distinct_id": "u1", **changed}
    answer = await posthog.http.post("/s/", json={"event": "$snapshot", "properties": snapshot})
    assert (answer.status_code, answer.text) == (400, said)


async def test_over_quota_is_told_recordings_and_kept_from_events(posthog: Stage) -> None:
    await posthog.twin("PUT", "quota", json={"resources": ["events", "recordings", "feature_flags"]})
    assert (await posthog.capture()).json() == {"status": "Ok"}
    snapshot: Doc = {"$session_id": "s1", "$snapshot_data": [{}], "token": KEY, "distinct_id": "u1"}
    answer = await posthog.http.post("/s/", json={"event": "$snapshot", "properties": snapshot})
    assert answer.json() == {"status": "Ok", "quota_limited": ["recordings"]}
    assert (await posthog.flags())["quotaLimited"] == ["feature_flags"]
    config = (await posthog.http.get(f"/array/{KEY}/config")).json()
    assert (config["quotaLimited"], config["sessionRecording"]) == (["recordings"], False)
    await posthog.twin("PUT", "quota", json={"resources": []})
    assert await posthog.captured() == []
    assert (await posthog.twin("GET", "recordings"))["recordings"] == []


@pytest.mark.parametrize("path", ["logs", "metrics", "traces"])
async def test_telemetry_is_taken_from_whoever_has_a_key(posthog: Stage, path: str) -> None:
    assert (await posthog.http.post(f"/i/v1/{path}?token={KEY}", json={"resourceLogs": []})).status_code == 200
    assert (await posthog.http.post(f"/i/v1/{path}", json={})).status_code == 401


async def test_remote_config_asks_for_nothing_more(posthog: Stage) -> None:
    config = (await posthog.http.get(f"/array/{KEY}/config")).json()
    assert (config["analytics"]["endpoint"], config["sessionRecording"]) == ("/i/v0/e/", False)
    script = await posthog.http.get(f"/array/{KEY}/config.js")
    assert script.headers["content-type"].startswith("application/javascript")
    assert f'window._POSTHOG_REMOTE_CONFIG["{KEY}"]=' in script.text
    assert (await posthog.http.get("/array/phc_no/config")).status_code == 404


async def test_remote_config_says_what_the_project_has_switched_on(posthog: Stage) -> None:
    switched = {"session_recording_opt_in": True, "autocapture_exceptions_opt_in": True, "heatmaps_opt_in": True}
    assert (await posthog.api("PATCH", "", switched, scopes=("project:write",))).status_code == 200
    await posthog.flag("beta")
    config = (await posthog.http.get(f"/array/{KEY}/config")).json()
    assert config["sessionRecording"]["endpoint"] == "/s/"
    assert (config["autocaptureExceptions"], config["heatmaps"], config["hasFeatureFlags"]) == (True, True, True)


@pytest.mark.parametrize("path", ["surveys", "web_experiments", "product_tours", "early_access_features"])
async def test_what_a_project_can_define_none_of_is_an_empty_list(posthog: Stage, path: str) -> None:
    (listed, *_) = (await posthog.http.get(f"/api/{path}/?token={KEY}")).json().values()
    assert listed == []
    assert (await posthog.http.get(f"/api/{path}/?token=phc_no")).status_code == 401
