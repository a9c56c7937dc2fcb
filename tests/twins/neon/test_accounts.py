"""Who may do what: people, organizations, keys, limits, and handing a project over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.twins.neon.conftest import Neon

SCOPED = "not allowed to perform actions outside the project this key is scoped to"


async def test_an_organizations_key_is_nobody_in_person(neon: Neon) -> None:
    for method, path in (("GET", "/users/me"), ("GET", "/regions"), ("GET", "/api_keys"), ("POST", "/api_keys")):
        refused = await neon.call(method, path, {"key_name": "x"} if method == "POST" else None, status=404)
        assert refused["message"] == "not allowed for organization API keys"
    [org] = (await neon.call("GET", "/users/me/organizations"))["organizations"]
    assert (await neon.call("GET", f"/organizations/{org['id']}")) == org
    assert (await neon.call("GET", "/auth"))["auth_method"] == "api_key_org"
    made = await neon.call("POST", f"/organizations/{org['id']}/api_keys", {"key_name": "x"}, status=404)
    assert made["message"] == "not allowed for organization API keys", "it makes no keys either"


async def test_a_person_knows_themselves_their_organization_and_the_regions(neon: Neon) -> None:
    async with neon.account(email="ada@example.com", plan="launch") as (ada, told):
        me = await ada.call("GET", "/users/me")
        assert (me["email"], me["plan"], me["projects_limit"]) == ("ada@example.com", "launch", 100)
        [org] = (await ada.call("GET", "/users/me/organizations"))["organizations"]
        assert (org["id"], org["plan"]) == (told["org_id"], "launch")
        members = (await ada.call("GET", f"/organizations/{org['id']}/members"))["members"]
        assert [each["user"]["email"] for each in members] == ["ada@example.com"]
        regions = (await ada.call("GET", "/regions"))["regions"]
        assert [each["region_id"] for each in regions if each["default"]] == ["aws-us-east-2"]
        assert (await ada.call("GET", "/auth")) == {
            "account_id": told["user_id"],
            "auth_method": "api_key_user",
            "auth_data": "",
        }


async def test_a_personal_key_must_say_which_organization(neon: Neon) -> None:
    async with neon.account() as (somebody, told):
        for method, body in (("GET", None), ("POST", {"project": {"name": "x"}})):
            refused = await somebody.call(method, "/projects", body, status=400)
            assert refused["message"] == "org_id is required, you can find it on your organization settings page"
        made = await somebody.project(org_id=told["org_id"])
        assert made["project"]["org_id"] == told["org_id"]
        listed = await somebody.call("GET", "/projects", org_id=told["org_id"])
        assert [each["id"] for each in listed["projects"]] == [made["project"]["id"]]


async def test_nobody_sees_anothers_organization_or_projects(neon: Neon) -> None:
    mine = (await neon.project(name="mine alone"))["project"]
    async with neon.account() as (somebody, _):
        await somebody.call("GET", f"/projects/{mine['id']}", status=404)
        await somebody.call("DELETE", f"/projects/{mine['id']}", status=404)
        await somebody.call("GET", "/projects", org_id=mine["org_id"], status=404)
        await somebody.call("POST", "/projects", {"project": {"org_id": mine["org_id"]}}, status=404)
        await somebody.call("GET", f"/organizations/{mine['org_id']}", status=404)
    await neon.call("GET", "/projects", org_id="org-of-somebody-else", status=404)


async def test_keys_are_made_shown_once_and_revoked(neon: Neon) -> None:
    async with neon.account() as (somebody, told):
        made = await somebody.call("POST", "/api_keys", {"key_name": "laptop"})
        assert made["key"].startswith("napi_")
        assert made["created_by"] == told["user_id"]
        async with neon.as_(made["key"]) as laptop:
            assert (await laptop.call("GET", "/users/me"))["id"] == told["user_id"]
            listed = await laptop.call("GET", "/api_keys")
            assert [each["name"] for each in listed] == ["console", "laptop"]
            assert all("key" not in each and each["last_used_at"] for each in listed)
            revoked = await somebody.call("DELETE", f"/api_keys/{made['id']}")
            assert revoked["revoked"] is True
            await laptop.call("GET", "/users/me", status=401)
        await somebody.call("DELETE", f"/api_keys/{made['id']}", status=404)
        await somebody.call("POST", "/api_keys", {"key_name": "x" * 65}, status=422)


async def test_an_organization_key_opens_the_organization_without_naming_it(neon: Neon) -> None:
    async with neon.account() as (somebody, told):
        keys = f"/organizations/{told['org_id']}/api_keys"
        made = await somebody.call("POST", keys, {"key_name": "ci"})
        async with neon.as_(made["key"]) as ci:
            project = (await ci.project())["project"]
            assert project["org_id"] == told["org_id"]
            assert [each["name"] for each in await ci.call("GET", keys)] == ["ci"]
        assert (await somebody.call("DELETE", f"{keys}/{made['id']}"))["revoked"] is True
        assert await somebody.call("GET", keys) == []


async def test_a_project_scoped_key_opens_that_project_and_nothing_else(neon: Neon) -> None:
    async with neon.account() as (somebody, told):
        mine, other = [(await somebody.project(org_id=told["org_id"]))["project"]["id"] for _ in range(2)]
        wanted = {"key_name": "agent", "project_id": mine}
        made = await somebody.call("POST", f"/organizations/{told['org_id']}/api_keys", wanted)
        assert made["project_id"] == mine
        async with neon.as_(made["key"]) as agent:
            await agent.call("GET", f"/projects/{mine}")
            await agent.done("POST", f"/projects/{mine}/branches", {}, status=201)
            for method, path in (("GET", "/projects"), ("GET", f"/projects/{other}"), ("DELETE", f"/projects/{other}")):
                refused = await agent.call(method, path, status=404)
                assert refused["message"] == f'{SCOPED}; subject_project_id:"{mine}"'
            await agent.call("POST", "/projects", {"project": {}}, status=404)
            await agent.call("DELETE", f"/projects/{mine}", status=404)
            await agent.call("POST", f"/projects/{mine}/transfer_requests", status=404)
            await agent.call("GET", f"/organizations/{told['org_id']}", status=404)
            await neon.call("GET", f"/projects/{mine}", status=404)


async def test_a_claimed_project_belongs_to_who_claimed_it_and_its_scoped_key_is_dead(neon: Neon) -> None:
    async with neon.account(email="maker@example.com") as (maker, made), neon.account() as (taker, told):
        project = (await maker.project(org_id=made["org_id"]))["project"]["id"]
        wanted = {"key_name": "agent", "project_id": project}
        scoped = (await maker.call("POST", f"/organizations/{made['org_id']}/api_keys", wanted))["key"]
        request = await maker.call("POST", f"/projects/{project}/transfer_requests", {"ttl_seconds": 60}, status=201)
        path = f"/projects/{project}/transfer_requests/{request['id']}"
        await taker.call("PUT", path, {"org_id": made["org_id"]}, status=404)
        await taker.call("PUT", path, status=204)
        assert (await taker.call("GET", f"/projects/{project}"))["project"]["org_id"] == told["org_id"]
        await maker.call("GET", f"/projects/{project}", status=404)
        await taker.call("PUT", path, status=404)
        async with neon.as_(scoped) as agent:
            await agent.call("GET", f"/projects/{project}", status=401)


async def test_a_claim_that_is_too_late_or_too_much_is_refused(neon: Neon) -> None:
    project = (await neon.project())["project"]["id"]
    request = await neon.call("POST", f"/projects/{project}/transfer_requests", {"ttl_seconds": 60}, status=201)
    path = f"/projects/{project}/transfer_requests/{request['id']}"
    async with neon.account(projects_limit=0) as (full, _):
        refused = await full.call("PUT", path, status=406)
        assert [each["code"] for each in refused["reasons"]] == ["projects_count"]
    async with neon.account() as (somebody, _):
        neon.clock.advance(seconds=61)
        await somebody.call("PUT", path, status=404)
        neon.clock.advance(seconds=-61)
        await somebody.call("PUT", path, status=204)
    await neon.call("POST", f"/projects/{project}/transfer_requests", status=404)


async def test_projects_move_between_ones_own_organizations(neon: Neon) -> None:
    async with neon.account() as (somebody, told):
        project = (await somebody.project(org_id=told["org_id"]))["project"]
        path = f"/organizations/{told['org_id']}/projects/transfer"
        body = {"destination_org_id": project["org_id"], "project_ids": [project["id"]]}
        assert await somebody.call("POST", path, body) == {}
        await somebody.call("POST", path, {**body, "destination_org_id": "org-not-mine-1"}, status=404)
        await somebody.call("POST", path, {**body, "project_ids": []}, status=422)


async def test_an_organization_has_no_more_projects_than_it_may(neon: Neon) -> None:
    async with neon.account(projects_limit=1) as (somebody, told):
        made = await somebody.project(org_id=told["org_id"])
        refused = await somebody.call("POST", "/projects", {"project": {"org_id": told["org_id"]}}, status=422)
        assert refused["code"] == "PROJECTS_LIMIT_EXCEEDED"
        assert "projects limit of 1 exceeded" in refused["message"]
        await somebody.call("DELETE", f"/projects/{made['project']['id']}")
        await somebody.project(org_id=told["org_id"])


async def test_the_free_plan_has_ten_branches_and_one_snapshot_a_project(neon: Neon) -> None:
    async with neon.account(plan="free") as (somebody, told):
        created = await somebody.project(org_id=told["org_id"])
        path = f"/projects/{created['project']['id']}/branches"
        await somebody.done("POST", f"{path}/{created['branch']['id']}/snapshot")
        await somebody.call("POST", f"{path}/{created['branch']['id']}/snapshot", status=422)
        for _ in range(9):
            await somebody.done("POST", path, {"branch": {"init_source": "schema-only"}}, status=201)
        refused = await somebody.call("POST", path, {}, status=422)
        assert refused["code"] == "BRANCHES_LIMIT_EXCEEDED"


@pytest.fixture
def limited(neon: Neon) -> Iterator[None]:
    neon.site.limits.enforced = True
    yield
    neon.site.limits.enforced = False


@pytest.mark.usefixtures("limited")
async def test_who_asks_too_often_is_told_so(neon: Neon) -> None:
    async with neon.account() as (somebody, _), neon.account() as (another, _):
        statuses: list[int] = []
        answer: Any = None
        for _ in range(60):
            answer = await somebody.api.get("/api/v2/users/me")
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                break
        assert statuses[-1] == 429, "forty a second on one route"
        assert answer.json()["message"].startswith("You've exceeded the rate limit")
        await another.call("GET", "/users/me")
        await somebody.call("GET", "/users/me/organizations")


@pytest.mark.usefixtures("limited")
async def test_the_minutes_allowance_covers_all_routes(neon: Neon) -> None:
    await neon.twin("PUT", "limits", {"allowances": {"account": {"limit": 3, "seconds": 60}}})
    try:
        async with neon.account() as (somebody, _):
            for path in ("/users/me", "/users/me/organizations", "/auth"):
                await somebody.call("GET", path)
            await somebody.call("GET", "/regions", status=429)
            neon.clock.advance(seconds=61)
            await somebody.call("GET", "/regions")
            neon.clock.advance(seconds=-61)
    finally:
        await neon.twin("PUT", "limits", {"allowances": {"account": {"limit": 700, "seconds": 60}}})


async def test_an_error_carries_the_request_id_it_was_given(neon: Neon) -> None:
    answer = await neon.api.get("/api/v2/projects/nope", headers={"X-Request-ID": "my-own-id"})
    assert answer.json()["request_id"] == "my-own-id"


async def test_only_the_operator_opens_accounts(neon: Neon) -> None:
    answer = await neon.api.post("/_twin/accounts", json={"email": "a@b.example"})
    assert answer.status_code == 401
