"""The GitHub twin's REST side: statuses, bodies and headers an API client meets."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.secrets import Secret
from server.twins.core import Site
from server.twins.core.serve import bind, serving
from server.twins.github import build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "ghp_operator"
ADMIN = {"Authorization": "Bearer admin-token"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    sockets = bind()
    base = f"http://localhost:{sockets[0].getsockname()[1]}"
    site = Site("github", base, tmp_path, Secret(TOKEN), Secret("admin-token"))
    async with (
        serving(build(site), sockets, drain=1),
        httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        yield client


async def made(client: httpx.AsyncClient, name: str = "mk0r-abc", **fields: Any) -> dict[str, Any]:
    answer = await client.post("/user/repos", json={"name": name, "private": True, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def a_token_for(client: httpx.AsyncClient, *repositories: str, hours: int = 1, writes: bool = True) -> str:
    expires_at = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    permissions = {"contents": "write" if writes else "read"}
    asked = {"repositories": repositories, "expires_at": expires_at, "permissions": permissions}
    return (await client.post("/_twin/tokens", json=asked, headers=ADMIN)).json()["token"]


async def test_a_repository_lives_and_dies(client: httpx.AsyncClient, tmp_path: Path) -> None:
    made_at = await client.post("/user/repos", json={"name": "mk0r-abc", "private": True, "description": "Ours"})
    repository = made_at.json()
    assert made_at.headers["location"] == repository["url"] == f"{client.base_url}/repos/mk0r/mk0r-abc"
    assert (repository["full_name"], repository["private"], repository["visibility"]) == (
        "mk0r/mk0r-abc",
        True,
        "private",
    )
    assert repository["clone_url"] == f"{client.base_url}/mk0r/mk0r-abc.git"
    assert repository["owner"]["login"] == (await client.get("/user")).json()["login"] == "mk0r"

    changed = await client.patch("/repos/mk0r/mk0r-abc", json={"description": "Still ours", "has_wiki": False})
    assert (changed.json()["description"], changed.json()["has_wiki"]) == ("Still ours", False)
    assert [each["name"] for each in (await client.get("/user/repos")).json()] == ["mk0r-abc"]

    assert (await client.delete("/repos/MK0R/MK0R-abc")).status_code == 204
    assert (await client.delete("/repos/mk0r/mk0r-abc")).status_code == 404
    assert list((tmp_path / "repositories").iterdir()) == []
    await made(client)  # a deleted name is free at once


async def test_a_taken_name_is_answered_exactly(client: httpx.AsyncClient) -> None:
    await made(client)
    answer = await client.post("/user/repos", json={"name": "MK0R-ABC"})
    assert answer.status_code == 422
    assert answer.json() == {
        "message": "Repository creation failed.",
        "errors": [
            {
                "resource": "Repository",
                "code": "custom",
                "field": "name",
                "message": "name already exists on this account",
            }
        ],
        "documentation_url": "https://docs.github.com/rest/repos/repos#create-a-repository-for-the-authenticated-user",
        "status": "422",
    }


async def test_of_two_that_want_a_name_at_once_one_gets_it(client: httpx.AsyncClient) -> None:
    await client.post("/_twin/faults", json={"path": "/user/repos", "hold": "gate"}, headers=ADMIN)
    calls = [asyncio.create_task(client.post("/user/repos", json={"name": "mk0r-abc"})) for _ in range(2)]
    async with asyncio.timeout(5):
        while (await client.get("/_twin/held", headers=ADMIN)).json()["held"] != {"gate": 2}:  # noqa: ASYNC110 - over the wire
            await asyncio.sleep(0)
    await client.delete("/_twin/faults", headers=ADMIN)
    assert sorted([(await call).status_code for call in calls]) == [201, 422]


async def test_an_organisation_has_repositories_of_its_own(client: httpx.AsyncClient) -> None:
    await made(client)
    answer = await client.post("/orgs/mk0r-apps/repos", json={"name": "mk0r-abc", "private": True})
    assert (answer.status_code, answer.json()["organization"]["login"]) == (201, "mk0r-apps")
    listed = (await client.get("/orgs/mk0r-apps/repos")).json()
    assert [each["full_name"] for each in listed] == ["mk0r-apps/mk0r-abc"]
    assert (await client.post("/orgs/nobody/repos", json={"name": "x"})).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "Problems parsing JSON"),
        (b"[]", 400, "Body should be a JSON object"),
        (b"{}", 422, '"name" wasn\'t supplied'),
        (b'{"name": 1}', 422, "is not a string"),
        (b'{"name": "x", "private": "yes"}', 422, "is not a boolean"),
        (b'{"name": "' + b"x" * 101 + b'"}', 422, "Repository creation failed."),
    ],
)
async def test_a_bad_body_is_refused(client: httpx.AsyncClient, body: bytes, status: int, said: str) -> None:
    answer = await client.post("/user/repos", content=body)
    assert answer.status_code == status
    assert said in answer.json()["message"]
    assert (await client.get("/user/repos")).json() == []


async def test_who_is_not_let_in(client: httpx.AsyncClient) -> None:
    await made(client)
    await made(client, "open", private=False)
    async with httpx.AsyncClient(base_url=client.base_url) as nobody:
        assert (await nobody.get("/repos/mk0r/mk0r-abc")).status_code == 404
        assert (await nobody.get("/repos/mk0r/open")).status_code == 200
        assert (await nobody.get("/user")).json()["message"] == "Requires authentication"
        assert (await nobody.post("/user/repos", json={"name": "x"})).status_code == 401
        assert (await nobody.get("/user", headers={"User-Agent": ""})).status_code == 403
        wrong = await nobody.get("/repos/mk0r/open", headers={"Authorization": "Bearer ghp_wrong"})
        assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")


async def test_a_lent_token_sees_its_repository_and_no_other(client: httpx.AsyncClient) -> None:
    await made(client)
    await made(client, "mk0r-def")
    lent = {"Authorization": f"Bearer {await a_token_for(client, 'mk0r/mk0r-abc')}"}
    assert (await client.get("/repos/mk0r/mk0r-abc", headers=lent)).status_code == 200
    assert (await client.get("/repos/mk0r/mk0r-def", headers=lent)).status_code == 404
    assert (await client.delete("/repos/mk0r/mk0r-abc", headers=lent)).status_code == 403
    assert (await client.post("/user/repos", json={"name": "x"}, headers=lent)).status_code == 403
    expired = {"Authorization": f"Bearer {await a_token_for(client, 'mk0r/mk0r-abc', hours=-1)}"}
    assert (await client.get("/repos/mk0r/mk0r-abc", headers=expired)).status_code == 401


async def test_what_the_initial_commit_holds(client: httpx.AsyncClient) -> None:
    await made(client, "empty")
    assert (await client.get("/repos/mk0r/empty/commits")).status_code == 409
    assert (await client.get("/repos/mk0r/empty/contents/")).json()["message"] == "This repository is empty."
    assert (await client.get("/repos/mk0r/empty/branches")).json() == []

    await made(client, auto_init=True)
    (commit,) = (await client.get("/repos/mk0r/mk0r-abc/commits")).json()
    assert (commit["commit"]["message"], commit["parents"]) == ("Initial commit", [])
    (branch,) = (await client.get("/repos/mk0r/mk0r-abc/branches")).json()
    assert (branch["name"], branch["commit"]["sha"]) == ("main", commit["sha"])
    whole = (await client.get("/repos/mk0r/mk0r-abc/branches/main")).json()
    assert whole["commit"]["commit"]["tree"] == commit["commit"]["tree"]
    assert (await client.get("/repos/mk0r/mk0r-abc/commits/main")).json()["sha"] == commit["sha"]
    (entry,) = (await client.get("/repos/mk0r/mk0r-abc/contents")).json()
    file = (await client.get("/repos/mk0r/mk0r-abc/contents/README.md")).json()
    assert (entry["path"], b64decode(file["content"]), file["size"]) == ("README.md", b"# mk0r-abc\n", 11)
    raw = await client.get(
        "/repos/mk0r/mk0r-abc/contents/README.md", headers={"Accept": "application/vnd.github.raw+json"}
    )
    assert raw.text == "# mk0r-abc\n"
    for missing in ("contents/no.md", "contents/README.md?ref=no", "branches/no", "commits?sha=--all", "no"):
        assert (await client.get(f"/repos/mk0r/mk0r-abc/{missing}")).status_code == 404
    assert (await client.get("/repos/mk0r/mk0r-abc/commits/--all")).status_code == 422


async def test_a_renamed_repository_is_found_under_both_names(client: httpx.AsyncClient) -> None:
    await made(client)
    await client.patch("/repos/mk0r/mk0r-abc", json={"name": "better"})
    assert (await client.get("/repos/mk0r/better")).status_code == 200
    moved = await client.get("/repos/mk0r/mk0r-abc")
    assert (moved.status_code, moved.json()["message"]) == (301, "Moved Permanently")
    followed = await client.get("/repos/mk0r/mk0r-abc", follow_redirects=True)
    assert followed.json()["name"] == "better"
    await made(client)  # taken again, the old name leads here
    assert (await client.get("/repos/mk0r/mk0r-abc")).json()["name"] == "mk0r-abc"


async def test_lists_are_paged_with_links(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await made(client, f"r{number}")
    names: list[str] = []
    url: str | None = "/user/repos?per_page=2"
    while url:
        page = await client.get(url)
        names += [each["name"] for each in page.json()]
        url = page.links["next"]["url"] if "next" in page.links else None
    assert names == ["r0", "r1", "r2", "r3", "r4"]


async def test_every_answer_carries_githubs_headers(client: httpx.AsyncClient) -> None:
    first = await client.get("/user")
    second = await client.get("/repos/mk0r/nothing")
    assert second.json()["documentation_url"].startswith("https://docs.github.com/rest")
    assert first.headers["x-github-request-id"] != second.headers["x-github-request-id"]
    assert first.headers["x-ratelimit-limit"] == "5000"
    assert int(first.headers["x-ratelimit-remaining"]) - int(second.headers["x-ratelimit-remaining"]) == 1
    rate = (await client.get("/rate_limit")).json()["rate"]
    assert rate["remaining"] == int(second.headers["x-ratelimit-remaining"])
    assert (await client.get("/nowhere/at/all/here")).headers["x-github-request-id"]


async def test_a_stranger_runs_out_of_calls(client: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=client.base_url) as nobody:
        answers = [await nobody.get("/repos/mk0r/nothing") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [404] * 60 + [403]
    assert answers[-1].headers["x-ratelimit-remaining"] == "0"


async def test_a_lost_create_answer_leaves_a_repository_to_find(client: httpx.AsyncClient) -> None:
    fault = {"method": "POST", "path": "/user/repos", "lose_answer": True, "times": 1}
    await client.post("/_twin/faults", json=fault, headers=ADMIN)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.post("/user/repos", json={"name": "mk0r-abc", "private": True})
    assert (await client.post("/user/repos", json={"name": "mk0r-abc"})).status_code == 422
    assert (await client.get("/repos/mk0r/mk0r-abc")).json()["private"]
