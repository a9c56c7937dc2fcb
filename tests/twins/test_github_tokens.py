"""What a token of the GitHub twin's reaches, and for how long by the twin's own clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
import pytest

from tests.twins.github_stage import Twin, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def twin(tmp_path: Path) -> AsyncIterator[Twin]:
    async with running(tmp_path) as twin:
        for path in ("/user/repos", "/orgs/mk0r-apps/repos"):
            await twin.call(f"POST {path}", "ghp_operator", json={"name": "one", "private": True, "auto_init": True})
        yield twin


async def test_an_installation_token_holds_for_an_hour(twin: Twin) -> None:
    token = await twin.installation_token("mk0r-apps")
    assert (await twin.told("GET /repos/mk0r-apps/one", token))[0] == 200
    twin.clock.now += timedelta(minutes=59)
    assert (await twin.told("GET /repos/mk0r-apps/one", token))[0] == 200
    twin.clock.now += timedelta(minutes=1)
    assert await twin.told("GET /repos/mk0r-apps/one", token) == (401, "Bad credentials")


async def test_an_assertion_holds_for_ten_minutes_and_not_a_second_more(twin: Twin) -> None:
    moment = int(twin.clock.now.timestamp())
    assert (await twin.told("GET /app", await twin.assertion()))[0] == 200
    assert (await twin.told("GET /app", await twin.assertion(exp=moment + 601)))[1].endswith("is too far in the future")
    late = await twin.assertion()
    twin.clock.now += timedelta(minutes=10)
    assert (await twin.told("GET /app", late))[0] == 401
    for changed, missing in (("iat", "'issued at' claim ('iat')"), ("exp", "'expiration time' claim ('exp')")):
        app = await twin.own("GET", "app")
        claims = {"iss": app["id"], "iat": moment, "exp": moment}
        claims.pop(changed)
        token = jwt.encode({**claims, "iss": app["client_id"]}, app["private_key"], "RS256")
        assert await twin.told("GET /app", token) == (401, f"Missing {missing} in assertion")


async def test_an_assertion_signed_in_another_way_is_none(twin: Twin) -> None:
    app, moment = await twin.own("GET", "app"), int(twin.clock.now.timestamp())
    claims = {"iss": str(app["id"]), "iat": moment, "exp": moment + 60}
    for token in (
        jwt.encode(claims, "x" * 32, "HS256"),
        jwt.encode(claims, "", "none"),
        "eyJ.eyJ.x",
        "ey..",
        "ey!.a.b",
    ):
        assert await twin.told("GET /app", token) == (401, "A JSON web token could not be decoded")


async def test_an_installation_on_some_repositories_knows_no_others(twin: Twin) -> None:
    await twin.call("POST /orgs/mk0r-apps/repos", "ghp_operator", json={"name": "two", "private": True})
    before = await twin.installation_token("mk0r-apps")
    await twin.own("POST", "app/installations", account="mk0r-apps", repositories=["one"])
    for token in (before, await twin.installation_token("mk0r-apps")):
        assert (await twin.told("GET /repos/mk0r-apps/two", token))[0] == 404
        listed = (await twin.call("GET /installation/repositories", token)).json()
        assert (listed["total_count"], listed["repository_selection"]) == (1, "selected")
    two = (await twin.call("GET /repos/mk0r-apps/two", "ghp_operator")).json()["id"]
    number = (await twin.call("GET /orgs/mk0r-apps/installation", await twin.assertion())).json()["id"]
    added = await twin.call(f"PUT /user/installations/{number}/repositories/{two}", "ghp_operator")
    assert added.status_code == 204
    assert (await twin.told("GET /repos/mk0r-apps/two", before))[0] == 200
    made = await twin.call("POST /orgs/mk0r-apps/repos", before, json={"name": "three", "private": True})
    assert made.status_code == 201
    assert (await twin.told("GET /repos/mk0r-apps/three", before))[0] == 200


async def test_a_suspended_installation_does_nothing(twin: Twin) -> None:
    token = await twin.installation_token("mk0r-apps")
    number = (await twin.call("GET /orgs/mk0r-apps/installation", await twin.assertion())).json()["id"]
    await twin.call(f"PUT /app/installations/{number}/suspended", await twin.assertion())
    assert await twin.told("GET /repos/mk0r-apps/one", token) == (403, "This installation has been suspended")
    await twin.call(f"DELETE /app/installations/{number}/suspended", await twin.assertion())
    assert (await twin.told("GET /repos/mk0r-apps/one", token))[0] == 200
    await twin.call(f"DELETE /app/installations/{number}", await twin.assertion())
    assert (await twin.told("GET /repos/mk0r-apps/one", token))[0] == 401


async def test_a_classic_token_is_bound_by_its_scopes(twin: Twin) -> None:
    await twin.call("POST /user/repos", "ghp_operator", json={"name": "open", "auto_init": True})
    none = (await twin.own("POST", "tokens", scopes=[]))["token"]
    assert (await twin.told("GET /repos/mk0r/one", none))[0] == 404
    assert (await twin.told("GET /repos/mk0r/open", none))[0] == 200
    content = {"message": "m", "content": "eA=="}
    assert (await twin.told("PUT /repos/mk0r/open/contents/x", none, json=content))[0] == 404
    public = (await twin.own("POST", "tokens", scopes=["public_repo"]))["token"]
    assert (await twin.told("PUT /repos/mk0r/open/contents/x", public, json=content))[0] == 201
    whole = (await twin.own("POST", "tokens", scopes=["repo"]))["token"]
    assert await twin.told("DELETE /repos/mk0r/one", whole) == (403, "Must have admin rights to Repository.")
    answer = await twin.call("GET /user", whole)
    assert (answer.headers["x-oauth-scopes"], whole[:4], len(whole)) == ("repo", "ghp_", 40)
    workflow = "PUT /repos/mk0r/one/contents/.github/workflows/ci.yml"
    assert (await twin.told(workflow, whole, json=content))[0] == 404
    assert (await twin.told(workflow, "ghp_operator", json=content))[0] == 201


async def test_a_fine_grained_token_says_what_it_may_not(twin: Twin) -> None:
    made = await twin.own("POST", "tokens", repositories=["mk0r/one"], permissions={"contents": "read"})
    token = made["token"]
    assert (token.startswith("github_pat_"), len(token)) == (True, 93)
    assert (await twin.told("GET /repos/mk0r/one/contents/README.md", token))[0] == 200
    for spec, wanted in (
        ("PUT /repos/mk0r/one/contents/x", "contents=write"),
        ("PATCH /repos/mk0r/one", "administration=write"),
        ("GET /repos/mk0r/one/keys", "administration=read"),
    ):
        answer = await twin.call(spec, token, json={})
        assert answer.json()["message"] == "Resource not accessible by personal access token"
        assert answer.headers["x-accepted-github-permissions"] == wanted
        assert "x-oauth-scopes" not in answer.headers
    until = (twin.clock.now + timedelta(days=1)).isoformat()
    short = (await twin.own("POST", "tokens", expires_at=until))["token"]
    answer = await twin.call("GET /user", short)
    assert answer.headers["github-authentication-token-expiration"] == "2026-05-02 12:00:00 UTC"
    twin.clock.now += timedelta(days=1)
    assert (await twin.told("GET /user", short))[0] == 401


async def test_an_invitation_is_over_after_a_week_and_a_transfer_after_a_day(twin: Twin) -> None:
    await twin.own("POST", "users", login="ann")
    ann = (await twin.own("POST", "tokens", login="ann"))["token"]
    await twin.call("PUT /repos/mk0r/one/collaborators/ann", "ghp_operator")
    (invitation,) = (await twin.call("GET /user/repository_invitations", ann)).json()
    await twin.call("POST /repos/mk0r/one/transfer", "ghp_operator", json={"new_owner": "ann"})
    assert len((await twin.own("GET", "transfers"))["transfers"]) == 1
    twin.clock.now += timedelta(days=7)
    assert (await twin.own("GET", "transfers"))["transfers"] == []
    (invitation,) = (await twin.call("GET /user/repository_invitations", ann)).json()
    assert invitation["expired"]
    assert (await twin.told(f"PATCH /user/repository_invitations/{invitation['id']}", ann))[0] == 404
    assert (await twin.told("GET /repos/mk0r/one", ann))[0] == 404


async def test_what_was_made_outlives_the_twin(twin: Twin, tmp_path: Path) -> None:
    token = await twin.installation_token("mk0r-apps")
    key = (await twin.own("GET", "app"))["private_key"]
    assert ((tmp_path / "app.json").stat().st_mode & 0o777) == 0o600
    assert (await twin.http.get("/_twin/app")).status_code == 401
    async with running(tmp_path) as again:
        assert (await again.own("GET", "app"))["private_key"] == key
        assert (await again.told("GET /repos/mk0r-apps/one/contents/README.md", token))[0] == 200


async def test_of_writes_at_once_each_is_whole_or_told_that_the_branch_moved(twin: Twin) -> None:
    content = [{"message": str(number), "content": "eA==", "branch": "main"} for number in range(6)]
    paths = [f"PUT /repos/mk0r/one/contents/{number}.txt" for number in range(6)]
    answers = await asyncio.gather(
        *(twin.told(path, "ghp_operator", json=body) for path, body in zip(paths, content, strict=True))
    )
    assert {status for status, _ in answers} <= {201, 409}
    made = [status for status, _ in answers].count(201)
    commits = (await twin.call("GET /repos/mk0r/one/commits", "ghp_operator")).json()
    assert len(commits) == made + 1 > 1
    assert all("but expected" in message for status, message in answers if status == 409)
