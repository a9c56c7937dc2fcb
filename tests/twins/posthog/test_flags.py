"""The PostHog twin's flags as an app sees them: conditions, rollouts, variants, payloads, in every version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.twins.posthog.evaluation import bucket
from tests.twins.posthog.stage import GROUP, KEY, rollout

if TYPE_CHECKING:
    from tests.twins.posthog.stage import Doc, Stage

IDS = [f"distinct_id_{number}" for number in range(20)]


def wants(key: str, value: Any, operator: str = "exact", **more: Any) -> Doc:
    return {"key": key, "value": value, "operator": operator, "type": "person", **more}


async def said(posthog: Stage, key: str, distinct_id: str = "u1", **asked: Any) -> Any:
    """What a flag says: a variant, true or false."""
    flag = (await posthog.flags(distinct_id, **asked))["flags"][key]
    return flag["variant"] or flag["enabled"]


async def test_a_rollout_is_decided_by_the_hash_the_sdks_use(posthog: Stage) -> None:
    await posthog.flag("simple-flag", filters=rollout(45))
    enabled = [await said(posthog, "simple-flag", distinct_id) for distinct_id in IDS]
    # What posthog-python's own consistency test holds its hash against.
    assert enabled[:10] == [False, True, True, False, True, False, False, True, False, True]
    assert enabled == [bucket("simple-flag", distinct_id) <= 0.45 for distinct_id in IDS]


async def test_everybody_has_the_same_variant_every_time(posthog: Stage) -> None:
    variants = [{"key": key, "rollout_percentage": part} for key, part in (("a", 50), ("b", 30), ("c", 20))]
    filters = {**rollout(), "multivariate": {"variants": variants}, "payloads": {"a": '{"size": 1}'}}
    await posthog.flag("layout", filters=filters)
    first = [await said(posthog, "layout", distinct_id) for distinct_id in IDS]
    assert first == [await said(posthog, "layout", distinct_id) for distinct_id in IDS]
    assert {*first} == {"a", "b", "c"}
    flags = [(await posthog.flags(distinct_id))["flags"]["layout"] for distinct_id in IDS]
    assert {flag["metadata"]["payload"] for flag in flags if flag["variant"] == "a"} == {'{"size": 1}'}
    assert {flag["metadata"]["payload"] for flag in flags if flag["variant"] == "b"} == {None}


@pytest.mark.parametrize(
    ("wanted", "properties", "enabled"),
    [
        (wants("plan", "pro"), {"plan": "PRO"}, True),
        (wants("plan", ["pro", "team"]), {"plan": "team"}, True),
        (wants("plan", "pro"), {}, False),
        (wants("plan", "pro", "is_not"), {}, True),
        (wants("plan", "", "is_set"), {"plan": None}, True),
        (wants("plan", "", "is_not_set"), {}, True),
        (wants("paid", "true"), {"paid": True}, True),
        (wants("paid", False), {"paid": "no"}, True),
        (wants("age", 5), {"age": "5"}, True),
        (wants("email", "@X.io", "icontains"), {"email": "ann@x.IO"}, True),
        (wants("email", "@x.io", "not_icontains"), {}, True),
        (wants("email", "ann", "starts_with"), {"email": "Ann@x.io"}, True),
        (wants("email", ".io", "not_ends_with"), {"email": "ann@x.io"}, False),
        (wants("email", "^a.+o$", "regex"), {"email": "ann@x.io"}, True),
        (wants("email", "^b", "not_regex"), {"email": "ann@x.io"}, True),
        (wants("email", "(", "not_regex"), {"email": "ann@x.io"}, False),
        (wants("age", "18", "gte"), {"age": 18}, True),
        (wants("age", "18", "gt"), {"age": "18"}, False),
        (wants("age", "18", "lt"), {"age": "young"}, False),
        (wants("since", "2026-01-01", "is_date_after"), {"since": "2026-06-01T10:00:00Z"}, True),
        (wants("since", "-7d", "is_date_before"), {"since": "2026-11-20"}, False),
        (wants("since", "-1m", "is_date_after"), {"since": "2026-11-20"}, True),
        (wants("version", "1.2.3", "semver_gte"), {"version": "v1.10.0"}, True),
        (wants("version", "1.2", "semver_caret"), {"version": "1.9.9"}, True),
        (wants("version", "1.2.3", "semver_tilde"), {"version": "1.3.0"}, False),
        (wants("version", "1.2.*", "semver_wildcard"), {"version": "1.2.9-beta"}, True),
        (wants("version", "1.2.3", "semver_eq"), {"version": "one"}, False),
    ],
)
async def test_a_condition_on_a_person(posthog: Stage, wanted: Doc, properties: Doc, enabled: bool) -> None:
    await posthog.flag("flag", filters=rollout(None, wanted))
    assert await said(posthog, "flag", person_properties=properties) is enabled


async def test_a_person_is_known_by_what_was_captured_of_them(posthog: Stage) -> None:
    await posthog.flag("pro-only", filters=rollout(100, wants("plan", "pro")))
    await posthog.capture({"event": "bought", "distinct_id": "u1", "properties": {"$set": {"plan": "pro"}}})
    assert await said(posthog, "pro-only", "u1") is True
    assert await said(posthog, "pro-only", "u2") is False
    assert await said(posthog, "pro-only", "u1", person_properties={"plan": "free"}) is False, "what is said now counts"


async def test_a_group_flag_goes_by_the_group(posthog: Stage) -> None:
    told = {"$group_type": "app", "$group_key": GROUP, "$group_set": {"tier": "gold"}}
    await posthog.capture({"event": "$groupidentify", "distinct_id": "p", "properties": told})
    gold = {"key": "tier", "value": "gold", "type": "group", "group_type_index": 0, "operator": "exact"}
    await posthog.flag("gold", filters={**rollout(None, gold), "aggregation_group_type_index": 0})
    assert await said(posthog, "gold", groups={"app": GROUP}) is True
    assert await said(posthog, "gold", groups={"app": "other"}) is False
    silver: Doc = {"groups": {"app": GROUP}, "group_properties": {"app": {"tier": "silver"}}}
    assert await said(posthog, "gold", **silver) is False
    nobody = (await posthog.flags())["flags"]["gold"]
    assert (nobody["enabled"], nobody["reason"]["code"]) == (False, "no_group_type")


async def test_a_flag_may_depend_on_another(posthog: Stage) -> None:
    base = await posthog.flag("base", filters=rollout(None, wants("plan", "pro")))
    on_base = {"key": str(base["id"]), "type": "flag", "operator": "flag_evaluates_to"}
    await posthog.flag("with", filters=rollout(None, {**on_base, "value": True}))
    await posthog.flag("without", filters=rollout(None, {**on_base, "value": False}))
    for plan, answers in (("pro", (True, False)), ("free", (False, True))):
        flags = (await posthog.flags(person_properties={"plan": plan}))["flags"]
        assert (flags["with"]["enabled"], flags["without"]["enabled"]) == answers


async def test_the_reason_says_which_condition_matched_or_came_nearest(posthog: Stage) -> None:
    groups = [*rollout(0)["groups"], *rollout(100, wants("plan", "pro"))["groups"]]
    await posthog.flag("flag", filters={"groups": groups})
    pro = (await posthog.flags(person_properties={"plan": "pro"}))["flags"]["flag"]["reason"]
    assert pro == {"code": "condition_match", "condition_index": 1, "description": "Matched condition set 2"}
    free = (await posthog.flags())["flags"]["flag"]["reason"]
    assert free == {"code": "out_of_rollout_bound", "condition_index": 0, "description": "Out of rollout bound"}


async def test_a_condition_may_name_the_variant_and_a_holdout_comes_before_all(posthog: Stage) -> None:
    variants = [{"key": "a", "rollout_percentage": 100}, {"key": "b", "rollout_percentage": 0}]
    filters = {**rollout(None, variant="b"), "multivariate": {"variants": variants}}
    await posthog.flag("layout", filters=filters)
    assert await said(posthog, "layout") == "b"
    await posthog.flag("held", filters={**filters, "holdout": {"id": 7, "exclusion_percentage": 100}})
    held = (await posthog.flags())["flags"]["held"]
    assert (held["variant"], held["reason"]["code"]) == ("holdout-7", "holdout_condition_value")


async def test_what_a_visitor_saw_stays_as_they_sign_in(posthog: Stage) -> None:
    await posthog.flag("steady", filters=rollout(50), ensure_experience_continuity=True)
    await posthog.flag("moody", filters=rollout(50))
    before = await said(posthog, "steady", "anon-1")
    signed_in = next(each for each in IDS if (bucket("moody", each) <= 0.5) != (bucket("moody", "anon-1") <= 0.5))
    assert await said(posthog, "steady", signed_in, **{"$anon_distinct_id": "anon-1"}) == before
    assert await said(posthog, "steady", signed_in) == before, "it is remembered"
    assert await said(posthog, "moody", signed_in) != await said(posthog, "moody", "anon-1")


async def test_an_answer_is_in_the_form_of_the_version_asked_for(posthog: Stage) -> None:
    filters = {**rollout(), "payloads": {"true": '{"a": 1}'}}
    flag = await posthog.flag("flag", filters=filters)
    old = await posthog.flags(version=1)
    assert (old["featureFlags"], old["featureFlagPayloads"]) == ({"flag": True}, {"flag": '{"a": 1}'})
    second = (await posthog.flags(version=2))["flags"]["flag"]
    assert (second["enabled"], second["variant"], second["metadata"]["id"]) == (True, None, flag["id"])
    typed = (await posthog.flags(version=4))["flags"]["flag"]
    assert (typed["value"], typed["metadata"]["config_version"]) == (True, 1)
    assert "enabled" not in typed
    body = {"token": KEY, "distinct_id": "u1"}
    for version, expected in ((1, ["flag"]), (2, {"flag": True}), (3, {"flag": True})):
        decided = (await posthog.http.post(f"/decide/?v={version}", json=body)).json()
        assert (decided["featureFlags"], decided["supportedCompression"]) == (expected, ["gzip", "gzip-js"])
    assert (await posthog.http.post("/decide/?v=4", json=body)).json()["flags"]["flag"]["enabled"] is True
    with_config = (await posthog.http.post("/flags/?v=2&config=true", json=body)).json()
    assert with_config["sessionRecording"] is False


async def test_only_the_flags_meant_for_whoever_asks_are_answered(posthog: Stage) -> None:
    for runtime in ("client", "server", "all"):
        await posthog.flag(runtime, evaluation_runtime=runtime)
    await posthog.flag("off", active=False)
    await posthog.flag("tagged", tags=["docs"], evaluation_tags=["docs"])
    everything = (await posthog.flags())["flags"]
    assert {*everything} == {"client", "server", "all", "tagged"}, "one that is off is not there"
    assert {*(await posthog.flags(evaluation_runtime="server"))["flags"]} == {"server", "all", "tagged"}
    assert {*(await posthog.flags(flag_keys_to_evaluate=["all"]))["flags"]} == {"all"}
    assert "tagged" not in (await posthog.flags(evaluation_contexts=["main"]))["flags"]
    assert (await posthog.flags(disable_flags=True))["flags"] == {}


@pytest.mark.parametrize("odd", [7, "x", [], {}, [[]], {"app": 7}, {"app": {"a": []}}, None])
async def test_a_question_in_an_odd_shape_is_answered_all_the_same(posthog: Stage, odd: Any) -> None:
    await posthog.capture({"event": "x", "distinct_id": "u", "properties": {"$groups": {"app": "one"}}})
    await posthog.flag("flag", tags=["a"], evaluation_tags=["a"])
    names = ("groups", "group_properties", "person_properties", "evaluation_contexts", "flag_keys_to_evaluate")
    for name in (*names, "$anon_distinct_id", "$device_id"):
        asked = {"token": KEY, "distinct_id": "u1", name: odd}
        assert (await posthog.http.post("/flags/?v=2", json=asked)).status_code == 200, name


async def test_flags_know_their_project(posthog: Stage) -> None:
    asked = {"token": KEY, "distinct_id": "u1", "groups": {"app": GROUP}}
    answer = await posthog.http.post("/flags/?v=2", json=asked)
    assert (answer.json()["flags"], answer.json()["errorsWhileComputingFlags"]) == ({}, False)
    for change, status in (({"token": "phc_no"}, 401), ({"token": None}, 401), ({"distinct_id": None}, 400)):
        assert (await posthog.http.post("/flags/?v=2", json={**asked, **change})).status_code == status
    assert (await posthog.http.get("/flags/")).json()["featureFlags"] == {}


async def test_local_evaluation_is_given_what_it_needs_and_only_once(posthog: Stage) -> None:
    base = await posthog.flag("base")
    on_base = {"key": str(base["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": True}
    await posthog.flag("leaf", filters=rollout(None, on_base))
    await posthog.capture({"event": "x", "distinct_id": "u", "properties": {"$groups": {"app": "one"}}})
    headers = await posthog.key("feature_flag:read")
    path = f"/flags/definitions?token={KEY}&send_cohorts"
    answer = await posthog.http.get(path, headers=headers)
    told = answer.json()
    assert (told["group_type_mapping"], told["cohorts"]) == ({"0": "app"}, {})
    leaf = next(flag for flag in told["flags"] if flag["key"] == "leaf")
    wanted = leaf["filters"]["groups"][0]["properties"][0]
    assert (wanted["key"], wanted["dependency_chain"]) == ("base", ["base"])
    again = await posthog.http.get(path, headers={**headers, "If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await posthog.flag("more")
    assert (
        await posthog.http.get(path, headers={**headers, "If-None-Match": answer.headers["etag"]})
    ).status_code == 200


async def test_definitions_need_a_key_that_is_not_public(posthog: Stage) -> None:
    path = f"/flags/definitions?token={KEY}"
    assert (await posthog.http.get(path)).json()["code"] == "not_authenticated"
    public = await posthog.http.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert public.json()["detail"] == "Personal API key found in request Authorization header is invalid."
    other = await posthog.http.get(path, headers=await posthog.key("query:read"))
    assert (other.status_code, other.json()["detail"]) == (403, "API key missing required scope 'feature_flag:read'")
    secret = (await posthog.twin("POST", "keys", json={"kind": "project_secret"}))["value"]
    assert (await posthog.http.get(path, headers={"Authorization": f"Bearer {secret}"})).status_code == 200
    assert (await posthog.http.get("/flags/definitions?token=phc_no", headers=await posthog.key())).status_code == 401
    await posthog.twin("PUT", "quota", json={"resources": ["feature_flags"]})
    assert (await posthog.http.get(path, headers=await posthog.key())).status_code == 402
