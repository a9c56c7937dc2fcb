"""The PostHog twin's private API: keys and scopes, limits, flag management, and the shape of every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.twins.posthog.stage import KEY, rollout

if TYPE_CHECKING:
    from tests.twins.posthog.stage import Doc, Stage


def wants(**more: Any) -> Doc:
    return {"key": "plan", "value": "pro", "operator": "exact", "type": "person", **more}


@pytest.mark.parametrize(
    ("authorization", "status", "code", "detail"),
    [
        ("", 401, "not_authenticated", "Authentication credentials were not provided."),
        (
            "Bearer phx_nobodys",
            401,
            "authentication_failed",
            "Personal API key found in request Authorization header is invalid.",
        ),
        (f"Bearer {KEY}", 401, "authentication_failed", None),
        ("Bearer phs_nobodys", 401, "authentication_failed", "Secret API token is invalid."),
    ],
)
async def test_without_a_good_key_nothing_is_said(
    posthog: Stage, authorization: str, status: int, code: str, detail: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await posthog.http.get("/api/projects/1/feature_flags/", headers=headers)
    told = answer.json()
    assert (answer.status_code, told["type"], told["code"]) == (status, "authentication_error", code)
    assert detail is None or told["detail"] == detail
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "feature_flags/", "feature_flag:read"),
        ("POST", "feature_flags/", "feature_flag:write"),
        ("POST", "query/", "query:read"),
        ("GET", "events/", "query:read"),
        ("GET", "persons/", "person:read"),
        ("GET", "groups/", "group:read"),
        ("GET", "", "project:read"),
        ("PATCH", "", "project:write"),
    ],
)
async def test_a_key_can_do_what_its_scopes_say(posthog: Stage, method: str, path: str, needed: str) -> None:
    refused = await posthog.api(method, path, {}, scopes=("insight:read",))
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert refused.json()["detail"] == f"API key missing required scope '{needed}'"
    allowed = await posthog.api(method, path, {}, scopes=(needed.replace(":read", ":write"),))
    assert allowed.status_code not in (401, 403)


async def test_a_key_that_was_taken_back_opens_nothing(posthog: Stage) -> None:
    key = await posthog.key()
    await posthog.twin("DELETE", f"keys/{key['Authorization'][-4:]}")
    assert (await posthog.http.get("/api/projects/1/", headers=key)).status_code == 401


async def test_the_operators_own_key_opens_everything_and_outlives_a_reset(posthog: Stage) -> None:
    told = await posthog.twin("GET", "credentials")
    key = {"Authorization": f"Bearer {told['POSTHOG_PERSONAL_API_KEY']}"}
    await posthog.twin("POST", "reset")
    for path in ("projects/1/", "projects/@current/feature_flags/", "projects/1/persons/"):
        assert (await posthog.http.get(f"/api/{path}", headers=key)).status_code == 200
    assert await posthog.twin("GET", "credentials") == told


async def test_the_project_is_found_by_its_number_or_as_the_current_one(posthog: Stage) -> None:
    key = await posthog.key()
    for path in ("projects/1/", "projects/@current/", "environments/1"):
        assert (await posthog.http.get(f"/api/{path}", headers=key)).json()["api_token"] == KEY
    missing = await posthog.http.get("/api/projects/2/", headers=key)
    assert (missing.status_code, missing.json()["detail"]) == (404, "Project not found.")
    unknown = await posthog.http.get("/api/nothing/", headers=key)
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Endpoint not found.")
    wrong = await posthog.http.post("/api/projects/1/events/", headers=key)
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    garbage = await posthog.http.post("/api/projects/1/query/", content=b"{", headers=key)
    assert (garbage.status_code, garbage.json()["code"]) == (400, "parse_error")


async def test_past_its_limit_a_key_is_told_when_to_come_back(posthog: Stage) -> None:
    key = await posthog.key()
    path = "/api/projects/1/feature_flags/"
    for _ in range(480):
        assert (await posthog.http.get(path, headers=key)).status_code == 200
    throttled = await posthog.http.get(path, headers=key)
    assert (throttled.status_code, throttled.json()["type"]) == (429, "throttled_error")
    assert throttled.json()["detail"] == "Request was throttled. Expected available in 60 seconds."
    assert throttled.headers["retry-after"] == "60"
    assert (await posthog.http.get(path, headers=await posthog.key())).status_code == 200, "another key has its own"
    posthog.later(seconds=61)
    assert (await posthog.http.get(path, headers=key)).status_code == 200


@pytest.mark.parametrize(
    ("path", "calls"), [("query/", 240), ("events/", 240), ("feature_flags/local_evaluation", 600)]
)
async def test_each_kind_of_call_has_its_own_limit(posthog: Stage, path: str, calls: int) -> None:
    key = await posthog.key()
    method = "POST" if path == "query/" else "GET"
    for _ in range(calls):
        assert (await posthog.http.request(method, f"/api/projects/1/{path}", headers=key)).status_code != 429
    assert (await posthog.http.request(method, f"/api/projects/1/{path}", headers=key)).status_code == 429


async def test_a_flag_is_made_found_changed_and_deleted(posthog: Stage) -> None:
    made = await posthog.flag("beta", name="Beta", filters=rollout(20))
    assert (made["version"], made["rollout_percentage"], made["is_simple_flag"]) == (1, 20, True)
    path = f"feature_flags/{made['id']}/"
    changed = (await posthog.api("PATCH", path, {"active": False})).json()
    assert (changed["version"], changed["active"], changed["filters"]) == (2, False, made["filters"])
    assert (await posthog.api("GET", path)).json() == changed
    hard = await posthog.api("DELETE", path)
    assert (hard.status_code, hard.json()["detail"].startswith("Hard delete of this model is not allowed.")) == (
        405,
        True,
    )
    assert (await posthog.api("PATCH", path, {"deleted": True})).status_code == 200
    assert (await posthog.api("GET", "feature_flags/")).json()["results"] == []
    again = await posthog.flag("beta")
    assert again["id"] != made["id"]


async def test_flags_come_in_pages_and_are_searched(posthog: Stage) -> None:
    for number in range(3):
        await posthog.flag(f"flag-{number}", active=number > 0)
    page = (await posthog.api("GET", "feature_flags/?limit=2")).json()
    assert (page["count"], [flag["key"] for flag in page["results"]]) == (3, ["flag-2", "flag-1"])
    rest = (await posthog.http.get(page["next"], headers=await posthog.key())).json()
    assert ([flag["key"] for flag in rest["results"]], rest["next"]) == (["flag-0"], None)
    found = (await posthog.api("GET", "feature_flags/?search=LAG-1")).json()["results"]
    assert [flag["key"] for flag in found] == ["flag-1"]
    off = (await posthog.api("GET", "feature_flags/?active=false")).json()["results"]
    assert [flag["key"] for flag in off] == ["flag-0"]


@pytest.mark.parametrize(
    ("body", "attr", "code", "detail"),
    [
        ({}, "key", "required", "This field is required."),
        ({"key": ""}, "key", "blank", "This field may not be blank."),
        ({"key": "taken"}, "key", "unique", "There is already a feature flag with this key."),
        (
            {"key": "no spaces"},
            "key",
            "invalid_key",
            "Only letters, numbers, hyphens (-) & underscores (_) are allowed.",
        ),
        ({"key": "a", "active": "yes"}, "active", "invalid", "Must be a valid boolean."),
        ({"key": "a", "filters": []}, "filters", "not_a_dict", None),
        ({"key": "a", "evaluation_runtime": "edge"}, "evaluation_runtime", "invalid_choice", None),
        (
            {"key": "a", "filters": rollout(None, wants(type="group"))},
            "filters",
            "invalid_input",
            "Filters are not valid (can only use person, cohort, and flag properties)",
        ),
        (
            {"key": "a", "filters": {**rollout(None, wants()), "aggregation_group_type_index": 0}},
            "filters",
            "invalid_input",
            "Filters are not valid (can only use group properties)",
        ),
        (
            {"key": "a", "filters": rollout(None, wants(type="cohort", value=7))},
            "filters",
            "cohort_does_not_exist",
            "Cohort with id 7 does not exist",
        ),
        ({"key": "a", "filters": rollout(None, wants(operator="is_date_after"))}, "filters", "invalid_date", None),
        ({"key": "a", "filters": rollout(None, wants(operator="gt", value=5))}, "filters", "invalid_value", None),
        (
            {
                "key": "a",
                "filters": {**rollout(), "multivariate": {"variants": [{"key": "x", "rollout_percentage": 90}]}},
            },
            "filters",
            "invalid_input",
            "Invalid variant definitions: Variant rollout percentages must sum to 100.",
        ),
        (
            {"key": "a", "filters": {**rollout(), "payloads": {"true": "{"}}},
            "filters",
            "invalid_input",
            "Payload value is not valid JSON",
        ),
        (
            {"key": "a", "filters": {**rollout(), "payloads": {"x": "1"}}},
            "filters",
            "invalid_input",
            "Payload keys must be 'true' for boolean flags",
        ),
        (
            {"key": "a", "filters": rollout(None, wants(type="flag", key="base", operator="flag_evaluates_to"))},
            "filters",
            "invalid_input",
            "Flag dependencies must reference flag IDs (integers), not flag keys. Invalid reference: 'base'",
        ),
    ],
)
async def test_a_flag_that_cannot_be_is_refused_by_field(
    posthog: Stage, body: Doc, attr: str, code: str, detail: str | None
) -> None:
    await posthog.flag("taken")
    answer = await posthog.api("POST", "feature_flags/", body)
    told = answer.json()
    assert (answer.status_code, told["type"], told["code"], told["attr"]) == (400, "validation_error", code, attr)
    assert detail is None or told["detail"] == detail


async def test_flags_may_not_depend_on_each_other_in_a_circle(posthog: Stage) -> None:
    first = await posthog.flag("first")
    on_first = {"key": str(first["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": True}
    second = await posthog.flag("second", filters=rollout(None, on_first))
    on_second = {**on_first, "key": str(second["id"])}
    circle = await posthog.api("PATCH", f"feature_flags/{first['id']}/", {"filters": rollout(None, on_second)})
    assert circle.json()["detail"] == "Circular dependency detected: first → second → first"
    itself = await posthog.api("PATCH", f"feature_flags/{first['id']}/", {"filters": rollout(None, on_first)})
    assert itself.json()["detail"] == "Feature flag 'first' cannot depend on itself"
    needed = await posthog.api("PATCH", f"feature_flags/{first['id']}/", {"deleted": True})
    assert (needed.status_code, "second (ID: " in needed.json()["detail"]) == (400, True)


async def test_a_servers_configuration_is_a_flags_payload(posthog: Stage) -> None:
    filters = {**rollout(), "payloads": {"true": '{"limit": 5}'}}
    flag = await posthog.flag("limits", filters=filters, is_remote_configuration=True)
    await posthog.flag("plain")
    for named in ("limits", flag["id"]):
        answer = await posthog.api("GET", f"feature_flags/{named}/remote_config", scopes=("feature_flag:read",))
        assert answer.json() == '{"limit": 5}'
    assert (await posthog.api("GET", "feature_flags/plain/remote_config")).status_code == 404
    secret = (await posthog.twin("POST", "keys", json={"kind": "project_secret"}))["value"]
    headers = {"Authorization": f"Bearer {secret}"}
    path = "/api/projects/@current/feature_flags/limits/remote_config"
    assert (await posthog.http.get(path, headers=headers)).status_code == 200
    assert (await posthog.http.get("/api/projects/1/feature_flags/", headers=headers)).status_code == 403
