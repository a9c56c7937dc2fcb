"""The GitHub twin as a thing on this machine: as whom git runs, what a person sees, what a reset leaves."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.local.identity import Identity
from server.twins.core import Records
from server.twins.github.git.process import GIT_USER
from tests.twins.github_stage import ADMIN, Twin, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONTENT = {"message": "Write it", "content": "aGVsbG8K"}


@pytest.fixture
async def twin(tmp_path: Path) -> AsyncIterator[Twin]:
    async with running(tmp_path) as twin:
        await a_repository(twin)
        yield twin


@pytest.fixture
def place() -> Iterator[Path]:
    """Where somebody else than us can go, too."""
    folder = Path(tempfile.mkdtemp(prefix="mk0r-test-"))
    yield folder / "github"
    shutil.rmtree(folder)


async def a_repository(twin: Twin) -> None:
    made = {"name": "one", "private": True, "auto_init": True, "description": "The first"}
    await twin.call("POST /user/repos", "ghp_operator", json=made)
    await twin.call("PUT /repos/mk0r/one/contents/src/a.txt", "ghp_operator", json=CONTENT)


async def seen(twin: Twin, at: str = "") -> dict[str, Any]:
    answer = await twin.http.get("/_twin/view", params={"at": at}, headers=ADMIN)
    assert answer.status_code == 200, at
    return answer.json()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run git as somebody else")
async def test_git_never_runs_as_root(tmp_path: Path, place: Path) -> None:
    place.parent.chmod(0o755)
    async with running(tmp_path, folder=place, identity=Identity(GIT_USER, GIT_USER)) as twin:
        await a_repository(twin)
        await twin.own("POST", "snapshots", name="kept")
        await twin.own("POST", "reset")
        await twin.own("POST", "snapshots/kept/restore")
        assert (await twin.call("PUT /repos/mk0r/one/contents/b.txt", "ghp_operator", json=CONTENT)).status_code == 201
    owners = {path.stat().st_uid for path in (place / "repositories", *(place / "repositories").rglob("*"))}
    assert owners == {GIT_USER}
    assert {path.stat().st_uid for path in (place, place / "hooks", *(place / "hooks").iterdir())} == {0}
    assert (place / "repositories").stat().st_mode & 0o777 == 0o700


async def test_a_person_sees_repositories_commits_and_files(twin: Twin) -> None:
    front = await seen(twin)
    name, visibility, _ = front["blocks"][0]["rows"][0]
    assert (name["text"], visibility) == ("mk0r/one", "private")
    assert "ghp_operator" not in json.dumps(front)
    repository = await seen(twin, "mk0r/one")
    files = next(block for block in repository["blocks"] if block["title"] == "Files of main")
    assert [row[0]["text"] for row in files["rows"]] == ["src", "README.md"]
    folder = await seen(twin, files["rows"][0][0]["to"])
    file = await seen(twin, folder["blocks"][0]["rows"][0][0]["to"])
    assert file["blocks"][0]["text"] == "hello\n"
    log = await seen(twin, "mk0r/one/commits/main")
    assert [row[1] for row in log["blocks"][0]["rows"]] == ["Write it", "Initial commit"]
    commit = await seen(twin, log["blocks"][0]["rows"][0][0]["to"])
    assert "+hello" in commit["blocks"][2]["text"]
    assert (await seen(twin, "mk0r-apps"))["title"] == "mk0r-apps"
    for nowhere in ("mk0r/none", "mk0r/one/tree/none", "mk0r/one/commit/--all", "mk0r/one/pulls", "nobody"):
        answer = await twin.http.get("/_twin/view", params={"at": nowhere}, headers=ADMIN)
        assert answer.status_code == 404, nowhere


async def test_an_html_url_leads_a_browser_to_the_same_view(twin: Twin) -> None:
    repository = (await twin.call("GET /repos/mk0r/one", "ghp_operator")).json()
    (commit, _) = (await twin.call("GET /repos/mk0r/one/commits", "ghp_operator")).json()
    for page, at in (
        (repository["html_url"], "mk0r/one"),
        (repository["owner"]["html_url"], "mk0r"),
        (commit["html_url"], f"mk0r/one/commit/{commit['sha']}"),
    ):
        answer = await twin.http.get(page, headers={"Accept": "text/html,*/*;q=0.8"})
        assert (answer.status_code, answer.headers["location"]) == (302, f"/_twin/#{at.replace('/', '%2F')}")
        assert (await twin.http.get(page)).json()["message"] == "Not Found"
    assert (await twin.http.get(repository["owner"]["avatar_url"])).headers["content-type"] == "image/svg+xml"


async def test_a_reset_forgets_everything_but_the_operator(twin: Twin) -> None:
    await twin.own("POST", "users", login="ann")
    token = await twin.installation_token("mk0r-apps")
    key = (await twin.own("GET", "app"))["private_key"]
    await twin.own("POST", "snapshots", name="before")
    await twin.own("POST", "reset")
    assert (await twin.told("GET /repos/mk0r/one", "ghp_operator"))[0] == 404
    assert (await twin.told("GET /user", token))[0] == 401
    assert (await twin.told("GET /users/ann", "ghp_operator"))[0] == 404
    assert (await twin.told("GET /user", "ghp_operator"))[0] == 200
    assert (await twin.own("GET", "credentials"))["GITHUB_APP_PRIVATE_KEY"] == key
    await a_repository(twin)
    await twin.own("POST", "snapshots/before/restore")
    commits = (await twin.call("GET /repos/mk0r/one/commits", "ghp_operator")).json()
    assert len(commits) == 2
    assert (await twin.told("GET /users/ann", token))[0] == 200


async def test_what_an_earlier_version_kept_is_found(tmp_path: Path) -> None:
    async with running(tmp_path) as twin:
        await a_repository(twin)
        number = (await twin.call("GET /repos/mk0r/one", "ghp_operator")).json()["id"]
    records = Records(tmp_path / "records.sqlite")
    doc = records.get("repository", str(number))
    assert doc is not None
    late = ("owner_id", "topics", "language", "size", "template")
    old = {name: value for name, value in doc.items() if name not in late}
    records.put("repository", str(number), {**old, "owner": "mk0r"})
    records.close()
    async with running(tmp_path, folder=tmp_path / "elsewhere") as twin:
        assert (await twin.call("GET /repos/mk0r/one", "ghp_operator")).json()["owner"]["login"] == "mk0r"
        assert (await twin.told("GET /repos/mk0r/one/contents/src/a.txt", "ghp_operator"))[0] == 200
    assert not (tmp_path / "repositories").exists()


async def test_a_browser_may_ask_from_any_page(twin: Twin) -> None:
    asked = await twin.http.options("/repos/mk0r/one", headers={"Origin": "http://app.test"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    answer = await twin.call("GET /user", "ghp_operator")
    assert "X-RateLimit-Remaining" in answer.headers["access-control-expose-headers"]


async def test_a_broken_repository_breaks_one_call(twin: Twin, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "repositories").glob("*.git")
    shutil.rmtree(folder / "objects")
    with pytest.raises(AssertionError):
        await seen(twin, "mk0r/one")
    answer = await twin.call("GET /repos/mk0r/one/commits", "ghp_operator")
    assert (answer.status_code, answer.json()["message"]) == (500, "Server Error")
    assert (await twin.call("GET /repos/mk0r/one", "ghp_operator")).status_code == 200
