"""The PostHog twin's persons and groups: who a distinct id belongs to, and what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.twins.posthog.stage import GROUP, an_event

if TYPE_CHECKING:
    from tests.twins.posthog.stage import Doc, Stage


def event(name: str, distinct_id: str, **properties: object) -> Doc:
    return {"event": name, "distinct_id": distinct_id, "properties": properties}


async def persons(posthog: Stage, query: str = "") -> list[Doc]:
    answer = await posthog.api("GET", f"persons/{query}", scopes=("person:read",))
    return answer.json()["results"]


async def test_properties_are_set_set_once_and_unset(posthog: Stage) -> None:
    await posthog.capture(event("a", "u1", **{"$set": {"plan": "free", "old": 1}, "$set_once": {"first": "a"}}))
    await posthog.capture(event("b", "u1", **{"$set": {"plan": "pro"}, "$set_once": {"first": "b"}, "$unset": ["old"]}))
    await posthog.capture({"event": "c", "distinct_id": "u1", "$set": {"outer": True}})
    (person,) = await persons(posthog)
    assert person["properties"] == {"plan": "pro", "first": "a", "outer": True}
    assert (person["distinct_ids"], person["is_identified"]) == (["u1"], False)


async def test_a_person_remembers_where_they_came_from(posthog: Stage) -> None:
    await posthog.capture(event("$pageview", "u1", **{"$browser": "Firefox", "utm_source": "mail"}))
    await posthog.capture(event("$pageview", "u1", **{"$browser": "Chrome"}))
    (person,) = await persons(posthog)
    assert person["properties"]["$browser"] == "Chrome"
    assert person["properties"]["$initial_browser"] == "Firefox"
    assert person["properties"]["$initial_utm_source"] == "mail"


async def test_identify_makes_one_person_of_two(posthog: Stage) -> None:
    await posthog.capture(event("before", "anon", **{"$set": {"seen": "anon", "colour": "red"}}))
    await posthog.capture(event("known", "ann@x.io", **{"$set": {"seen": "ann"}}))
    await posthog.capture(event("$identify", "ann@x.io", **{"$anon_distinct_id": "anon", "$set": {"plan": "pro"}}))
    (person,) = await persons(posthog)
    assert {*person["distinct_ids"]} == {"anon", "ann@x.io"}
    assert person["properties"] == {"seen": "ann", "colour": "red", "plan": "pro"}
    assert person["is_identified"] is True
    assert {each["person_id"] for each in await posthog.captured()} == {person["id"]}, "what came before is theirs too"


async def test_whoever_is_identified_is_not_swallowed(posthog: Stage) -> None:
    await posthog.capture(event("$identify", "ann", **{"$anon_distinct_id": "a1"}))
    await posthog.capture(event("signed_in", "bob"))
    await posthog.capture(event("$identify", "bob", **{"$anon_distinct_id": "ann"}))
    assert len(await persons(posthog)) == 2
    await posthog.capture(event("$merge_dangerously", "bob", alias="ann"))
    assert len(await persons(posthog)) == 1


async def test_an_alias_is_another_name_of_the_same_person(posthog: Stage) -> None:
    await posthog.capture(event("$create_alias", "user-1", alias="user-one"))
    (person,) = await persons(posthog)
    assert {*person["distinct_ids"]} == {"user-1", "user-one"}
    await posthog.capture(event("$create_alias", "user-1", alias="undefined"))
    assert len((await persons(posthog))[0]["distinct_ids"]) == 2, "nobody is called undefined"


async def test_an_anonymous_visitor_has_no_profile_until_they_are_identified(posthog: Stage) -> None:
    await posthog.capture(event("$pageview", "anon", **{"$process_person_profile": False, "$set": {"x": 1}}))
    assert await persons(posthog) == []
    await posthog.capture(event("$identify", "ann", **{"$anon_distinct_id": "anon"}))
    (person,) = await persons(posthog)
    assert {each["person_id"] for each in await posthog.captured()} == {person["id"]}


async def test_persons_are_found_changed_and_removed(posthog: Stage) -> None:
    for name in ("ann", "bob"):
        await posthog.capture(event("saved", name, **{"$set": {"email": f"{name}@x.io"}}))
    (ann,) = await persons(posthog, "?distinct_id=ann")
    assert [each["name"] for each in await persons(posthog, "?email=bob@x.io")] == ["bob@x.io"]
    assert len(await persons(posthog, "?search=x.io")) == 2
    set_plan = await posthog.api("POST", f"persons/{ann['id']}/update_property", {"key": "plan", "value": "pro"})
    assert set_plan.status_code == 202
    assert (await posthog.api("GET", f"persons/{ann['id']}/")).json()["properties"]["plan"] == "pro"
    unset = await posthog.api("POST", f"persons/{ann['id']}/delete_property", {"$unset": "plan"})
    assert unset.status_code == 201
    assert (await posthog.api("DELETE", f"persons/{ann['id']}/?delete_events=true")).status_code == 202
    assert (await posthog.api("GET", f"persons/{ann['id']}/")).status_code == 404
    assert [each["distinct_id"] for each in await posthog.captured()] == ["bob"]


async def test_persons_come_in_pages(posthog: Stage) -> None:
    await posthog.capture(*(event("saved", f"u{number}") for number in range(5)))
    first = (await posthog.api("GET", "persons/?limit=2")).json()
    assert (len(first["results"]), first["previous"]) == (2, None)
    last = (await posthog.http.get(first["next"], headers=await posthog.key())).json()
    assert len(last["results"]) == 2
    assert "offset=4" in last["next"]


async def test_a_group_is_described_and_a_sixth_type_ignored(posthog: Stage) -> None:
    told = {"$group_type": "app", "$group_key": GROUP, "$group_set": {"name": "My app"}}
    await posthog.capture(event("$groupidentify", "p", **told))
    await posthog.capture(event("$groupidentify", "p", **{**told, "$group_set": {"plan": "pro"}}))
    groups = (await posthog.twin("GET", "events"))["groups"]
    assert groups == [{"group_type": "app", "group_key": GROUP, "properties": {"name": "My app", "plan": "pro"}}]
    for number in range(5):
        await posthog.capture(an_event(properties={"$groups": {f"type{number}": "x"}}))
    assert len(await posthog.captured(group="x")) == 4
    types = (await posthog.api("GET", "groups_types/", scopes=("group:read",))).json()
    assert [each["group_type"] for each in types] == ["app", "type0", "type1", "type2", "type3"]
    assert [each["group_type_index"] for each in types] == [0, 1, 2, 3, 4]


async def test_groups_are_listed_found_and_made(posthog: Stage) -> None:
    for key in ("one", "two"):
        told = {"$group_type": "app", "$group_key": key, "$group_set": {"name": f"App {key}"}}
        await posthog.capture(event("$groupidentify", "p", **told))
    listed = (await posthog.api("GET", "groups/?group_type_index=0")).json()
    assert ([each["group_key"] for each in listed["results"]], listed["next_url"]) == (["two", "one"], None)
    found = (await posthog.api("GET", "groups/?group_type_index=0&search=app%20two")).json()["results"]
    assert [each["group_key"] for each in found] == ["two"]
    one = (await posthog.api("GET", "groups/find?group_type_index=0&group_key=one")).json()
    assert one["group_properties"] == {"name": "App one"}
    assert (await posthog.api("GET", "groups/find?group_type_index=0&group_key=no")).status_code == 404
    made = await posthog.api("POST", "groups/", {"group_type_index": 0, "group_key": "three", "group_properties": {}})
    assert (made.status_code, made.json()["group_key"]) == (201, "three")
    assert (await posthog.api("GET", "groups/")).json()["attr"] == "group_type_index"
