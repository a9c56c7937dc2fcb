"""GitHub's REST API through the unmodified PyGithub."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import io
import tarfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from github import GithubException, InputGitAuthor, InputGitTreeElement, UnknownObjectException

from tests.contract.github_sdk import in_thread, pygithub, soon, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from github.Repository import Repository

    from tests.contract.conftest import Service


@pytest.fixture
async def repository(github: Service) -> AsyncIterator[Repository]:
    """A private one with a first commit, gone after the test."""
    user: Any = pygithub(github).get_user()
    made = await asyncio.to_thread(lambda: user.create_repo(unique(), private=True, auto_init=True))
    yield made
    await asyncio.to_thread(made.delete)


def refused(status: int, message: str) -> Any:
    def is_it(error: GithubException) -> bool:
        told = [error.data, *error.data.get("errors", [])]
        return error.status == status and any(message in str(each["message"]) for each in told)

    return pytest.raises(GithubException, check=is_it)


@in_thread
def test_a_repository_lives_and_dies(github: Service) -> None:
    sdk, name = pygithub(github), unique()
    user: Any = sdk.get_user()
    made = user.create_repo(name, private=True, description="Ours", has_wiki=False)
    assert (made.private, made.description, made.has_wiki, made.owner.login) == (True, "Ours", False, user.login)
    with refused(422, "name already exists on this account"):
        user.create_repo(name)
    made.edit(description="Still ours", has_issues=False)
    assert (sdk.get_repo(made.full_name).description, sdk.get_repo(made.id).name) == ("Still ours", name)
    made.replace_topics(["twin", "test"])
    assert sorted(made.get_topics()) == ["test", "twin"]
    assert name in {each.name for each in user.get_repos(visibility="private")}
    made.delete()
    with pytest.raises(UnknownObjectException):
        sdk.get_repo(made.full_name)


@in_thread
def test_a_renamed_repository_is_found_under_its_old_name(github: Service, repository: Repository) -> None:
    before, after = repository.full_name, unique()
    repository.edit(name=after)
    assert pygithub(github).get_repo(before).name == after
    assert pygithub(github).get_repo(before).get_readme().path == "README.md"


@in_thread
def test_files_are_written_read_changed_and_removed(repository: Repository) -> None:
    author = InputGitAuthor("Ann", "ann@example.com", "2026-01-02T03:04:05Z")
    made: Any = repository.create_file("src/app.py", "Add it", "print('one')\n", author=author)
    assert made["commit"].author.name == "Ann"
    found: Any = repository.get_contents("src/app.py")
    assert (found.decoded_content, found.sha) == (b"print('one')\n", made["content"].sha)
    listed: Any = repository.get_contents("")
    assert {each.path for each in listed} == {"README.md", "src"}
    with refused(409, f"src/app.py does not match {'0' * 40}"):
        repository.update_file("src/app.py", "No", "x", "0" * 40)
    with refused(422, "wasn't supplied"):
        repository.create_file("src/app.py", "No", "x")
    with refused(404, "Branch nowhere not found"):
        repository.create_file("other", "No", "x", branch="nowhere")
    repository.update_file("src/app.py", "Change it", b"\x00\xff", found.sha)
    changed: Any = repository.get_contents("src/app.py")
    assert changed.decoded_content == b"\x00\xff"
    log = [each.commit.message for each in repository.get_commits(path="src/app.py")]
    assert log == ["Change it", "Add it"]
    repository.delete_file("src/app.py", "Remove it", changed.sha)
    with pytest.raises(UnknownObjectException):
        repository.get_contents("src/app.py")


@in_thread
def test_a_commit_is_built_from_its_objects(repository: Repository) -> None:
    head = repository.get_branch("main").commit
    blob = repository.create_git_blob("aGVsbG8=", "base64")
    assert repository.get_git_blob(blob.sha).size == 5
    elements = [
        InputGitTreeElement("hello.txt", "100644", "blob", sha=blob.sha),
        InputGitTreeElement("deep/er/run.sh", "100755", "blob", content="#!/bin/sh\n"),
        InputGitTreeElement("README.md", "100644", "blob", sha=None),
    ]
    tree = repository.create_git_tree(elements, base_tree=head.commit.tree)
    whole = {each.path: each.mode for each in repository.get_git_tree(tree.sha, recursive=True).tree}
    assert whole == {"hello.txt": "100644", "deep": "040000", "deep/er": "040000", "deep/er/run.sh": "100755"}
    author = InputGitAuthor("Ann", "ann@example.com", "2026-01-02T03:04:05+01:00")
    commit = repository.create_git_commit("By hand", tree, [head.commit], author=author)
    assert (commit.author.date.isoformat(), commit.parents[0].sha) == ("2026-01-02T02:04:05+00:00", head.sha)
    ref = repository.create_git_ref("refs/heads/by-hand", commit.sha)
    with refused(422, "Reference already exists"):
        repository.create_git_ref("refs/heads/by-hand", commit.sha)
    with refused(422, "Object does not exist"):
        repository.create_git_ref("refs/heads/other", "1" * 40)
    with refused(422, "Update is not a fast forward"):
        ref.edit(head.sha)
    ref.edit(head.sha, force=True)
    ref.edit(commit.sha)
    assert {each.ref for each in repository.get_git_matching_refs("heads/by")} == {"refs/heads/by-hand"}
    ref.delete()
    with pytest.raises(UnknownObjectException):
        repository.get_git_ref("heads/by-hand")


@in_thread
def test_tags_name_commits(repository: Repository) -> None:
    head = repository.get_branch("main").commit
    tagger = InputGitAuthor("Ann", "ann@example.com", "2026-01-02T03:04:05Z")
    tag = repository.create_git_tag("v1.0.0", "The first", head.sha, "commit", tagger)
    assert repository.get_git_tag(tag.sha).message == "The first"
    repository.create_git_ref("refs/tags/v1.0.0", tag.sha)
    repository.create_git_ref("refs/tags/v1.10.0", head.sha)
    tags = {each.name: each.commit.sha for each in repository.get_tags()}
    assert (list(tags), set(tags.values())) == (["v1.10.0", "v1.0.0"], {head.sha})


@in_thread
def test_commits_say_what_they_changed(repository: Repository) -> None:
    repository.create_file("a.txt", "One", "one\ntwo\nthree\n")
    moved: Any = repository.create_git_tree(
        [
            InputGitTreeElement("b.txt", "100644", "blob", content="one\ntwo\n3\n"),
            InputGitTreeElement("a.txt", "100644", "blob", sha=None),
        ],
        base_tree=repository.get_git_tree("main"),
    )
    parent = repository.get_git_commit(repository.get_branch("main").commit.sha)
    made = repository.create_git_commit("Two", moved, [parent])
    repository.create_git_ref("refs/heads/feature/two", made.sha)
    commit = repository.get_commit("feature/two")
    (file,) = commit.files
    assert (file.status, file.previous_filename, file.filename) == ("renamed", "a.txt", "b.txt")
    assert (file.additions, file.deletions, commit.stats.total) == (1, 1, 2)
    assert file.patch == "@@ -1,3 +1,3 @@\n one\n two\n-three\n+3"
    compared = repository.compare("main", "feature/two")
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("ahead", 1, 0)
    assert [each.sha for each in compared.commits] == [made.sha]
    assert repository.compare("feature/two", "main").status == "behind"
    with refused(422, "No commit found for SHA: nowhere"):
        repository.get_commit("nowhere")


@in_thread
def test_commits_are_told_by_author_and_time(repository: Repository) -> None:
    early = InputGitAuthor("Ann", "ann@example.com", "2020-01-02T03:04:05Z")
    repository.create_file("a.txt", "Early", "a", author=early, committer=early)
    assert [each.commit.message for each in repository.get_commits(author="ann@example.com")] == ["Early"]
    mine = repository.get_commits(author=repository.owner.login)
    assert [each.commit.message for each in mine] == ["Initial commit"]
    assert mine[0].author.login == repository.owner.login


@in_thread
def test_branches_are_listed_and_renamed(repository: Repository) -> None:
    head = repository.get_branch("main").commit.sha
    for name in ("one", "deep/two"):
        repository.create_git_ref(f"refs/heads/{name}", head)
    assert [each.name for each in repository.get_branches()] == ["deep/two", "main", "one"]
    assert not repository.get_branch("deep/two").protected
    repository.rename_branch("main", "trunk")
    repository.update()
    assert repository.default_branch == "trunk"
    with refused(404, "Branch not found"):
        repository.get_branch("nowhere")
    with refused(404, "Branch not protected"):
        repository.get_branch("one").get_protection()


@in_thread
def test_an_archive_holds_the_files(repository: Repository) -> None:
    repository.create_file("src/a.txt", "Add", "content\n")
    link = repository.get_archive_link("tarball", "main")
    downloaded = httpx.get(link, timeout=30)
    with tarfile.open(fileobj=io.BytesIO(downloaded.content)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "src/a.txt"} <= names
    found: Any = repository.get_contents("src/a.txt")
    assert httpx.get(found.download_url, timeout=30).text == "content\n"
    assert httpx.get(found.download_url.partition("?")[0], timeout=30).status_code == 404


@in_thread
def test_languages_are_told_in_bytes(repository: Repository) -> None:
    repository.create_file("app.ts", "Add", "export {}\n")
    repository.create_file("style.css", "Add", "a {}\n")
    found = soon(lambda: {name: size for name, size in repository.get_languages().items() if name != "url"})
    assert (found["TypeScript"], found["CSS"]) == (10, 5)


@in_thread
def test_deploy_keys_are_checked_and_kept(repository: Repository) -> None:
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    key = repository.create_key("robot", f"{public} robot@example.com", read_only=True)
    assert (key.title, key.key, key.read_only, key.verified) == ("robot", public, True, True)
    assert [each.id for each in repository.get_keys()] == [key.id]
    with refused(422, "key is already in use"):
        repository.create_key("again", public)
    with refused(422, "You must supply a key in OpenSSH public key format"):
        repository.create_key("none", "ssh-ed25519 nothing")
    key.delete()
    assert list(repository.get_keys()) == []


@in_thread
def test_a_list_is_read_page_by_page(github: Service, repository: Repository) -> None:
    head = repository.get_branch("main").commit.sha
    for number in range(7):
        repository.create_git_ref(f"refs/heads/b{number}", head)
    sdk = pygithub(github)
    sdk.per_page = 3
    branches = sdk.get_repo(repository.full_name).get_branches()
    assert [each.name for each in branches] == [*(f"b{number}" for number in range(7)), "main"]
    assert [each.name for each in branches.get_page(1)] == ["b3", "b4", "b5"]


@in_thread
def test_what_has_not_changed_costs_nothing(github: Service, repository: Repository) -> None:
    sdk = pygithub(github)
    mine = sdk.get_repo(repository.full_name)
    left = sdk.rate_limiting[0]
    assert mine.update() is False
    assert sdk.rate_limiting[0] == left
    mine.edit(description="New")
    assert sdk.get_repo(repository.full_name).description == "New"


@in_thread
def test_an_empty_repository_says_so(github: Service) -> None:
    user: Any = pygithub(github).get_user()
    made = user.create_repo(unique(), private=True)
    with refused(409, "Git Repository is empty."):
        list(made.get_commits())
    with refused(404, "This repository is empty."):
        made.get_contents("")
    with refused(409, "Git Repository is empty."):
        made.create_git_blob("x", "utf-8")
    first: Any = made.create_file("first.txt", "First", "one")
    assert first["commit"].parents == []
    assert made.get_branch("main").commit.sha == first["commit"].sha
    made.delete()


@in_thread
def test_users_and_their_organisations(github: Service) -> None:
    sdk = pygithub(github)
    user: Any = sdk.get_user()
    assert sdk.get_user(user.login).id == sdk.get_user_by_id(user.id).id == user.id
    for organization in user.get_orgs():
        assert sdk.get_organization(organization.login).id == organization.id
    assert sdk.get_rate_limit().rate.limit >= 5000
    with pytest.raises(UnknownObjectException):
        sdk.get_user(unique())
