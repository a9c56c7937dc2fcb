"""Several people on GitHub, through PyGithub: collaborators, invitations, transfers, templates, organisations."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from github import GithubException, UnknownObjectException

from tests.contract.github_sdk import in_thread, pygithub, soon, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from github import Github
    from github.Repository import Repository

    from tests.conftest import Stack
    from tests.contract.conftest import Service


@pytest.fixture
def twin(github: Service) -> Stack:
    if github.stack is None:
        pytest.skip("needs a second account")
    return github.stack


@pytest.fixture
async def guest(github: Service, twin: Stack) -> Github:
    """Another user, with a token of their own."""
    login = unique()
    await twin.twin("github", "POST", "users", {"login": login, "email": f"{login}@example.com"})
    made = await twin.twin("github", "POST", "tokens", {"login": login})
    return pygithub(github, made["token"])


@pytest.fixture
async def repository(github: Service) -> AsyncIterator[Repository]:
    sdk, name = pygithub(github), unique()
    user: Any = sdk.get_user()
    made = await asyncio.to_thread(lambda: user.create_repo(name, private=True, auto_init=True))
    yield made
    left = await asyncio.to_thread(lambda: [each for each in user.get_repos() if each.id == made.id])
    for each in left:
        await asyncio.to_thread(each.delete)


@in_thread
def test_an_invited_user_comes_in_and_leaves(repository: Repository, guest: Github) -> None:
    visitor: Any = guest.get_user()
    with pytest.raises(UnknownObjectException):
        guest.get_repo(repository.full_name)
    invitation: Any = repository.add_to_collaborators(visitor.login)
    assert (invitation.invitee.login, invitation.permissions) == (visitor.login, "write")
    assert [each.id for each in repository.get_pending_invitations()] == [invitation.id]
    with pytest.raises(UnknownObjectException):
        guest.get_repo(repository.full_name)
    (mine,) = visitor.get_invitations()
    visitor.accept_invitation(mine)
    theirs = guest.get_repo(repository.full_name)
    assert (theirs.permissions.push, theirs.permissions.admin) == (True, False)
    theirs.create_file("guest.txt", "Hello", "hello")
    assert repository.get_commits()[0].author.login == visitor.login
    assert repository.has_in_collaborators(visitor.login)
    assert repository.get_collaborator_permission(visitor.login) == "write"
    with pytest.raises(GithubException, match="Must have admin rights to Repository"):
        theirs.edit(description="Mine")
    assert repository.add_to_collaborators(visitor.login) is None
    repository.remove_from_collaborators(visitor.login)
    with pytest.raises(UnknownObjectException):
        guest.get_repo(repository.full_name)


@in_thread
def test_an_invitation_can_be_refused_and_withdrawn(repository: Repository, guest: Github) -> None:
    visitor: Any = guest.get_user()
    repository.add_to_collaborators(visitor.login)
    (mine,) = visitor.get_invitations()
    visitor._requester.requestJsonAndCheck("DELETE", f"/user/repository_invitations/{mine.id}")
    assert list(repository.get_pending_invitations()) == []
    invitation: Any = repository.add_to_collaborators(visitor.login)
    repository.remove_invitation(invitation.id)
    assert list(visitor.get_invitations()) == []
    with pytest.raises(GithubException, match="Repository owner cannot be a collaborator"):
        repository.add_to_collaborators(repository.owner.login)
    with pytest.raises(UnknownObjectException):
        repository.add_to_collaborators(unique())


@in_thread
def test_a_token_sees_nothing_of_anothers_private_repository(repository: Repository, guest: Github) -> None:
    for look in ("", "/branches", "/contents/README.md", "/commits", "/keys", "/git/ref/heads/main", "/tarball/main"):
        with pytest.raises(UnknownObjectException):
            guest.requester.requestJsonAndCheck("GET", repository.url + look)


@in_thread
def test_an_organisation_takes_a_repository_over(github: Service, twin: Stack, repository: Repository) -> None:
    before = repository.full_name
    assert repository.transfer_ownership("mk0r-apps")
    sdk = pygithub(github)
    moved = soon(
        lambda: next((each for each in sdk.get_organization("mk0r-apps").get_repos() if each.id == repository.id), None)
    )
    assert moved.full_name == f"mk0r-apps/{repository.name}"
    assert sdk.get_repo(before).full_name == moved.full_name
    moved.delete()


async def test_a_person_takes_a_repository_over_when_they_agree(
    twin: Stack, repository: Repository, guest: Github
) -> None:
    visitor: Any = await asyncio.to_thread(guest.get_user)
    name = unique()
    login = await asyncio.to_thread(lambda: visitor.login)
    assert await asyncio.to_thread(lambda: repository.transfer_ownership(login, new_name=name))
    waiting = (await twin.twin("github", "GET", "transfers"))["transfers"]
    (asked,) = (each for each in waiting if each["repository"] == repository.full_name)
    assert await asyncio.to_thread(lambda: [each.id for each in visitor.get_repos()]) == []
    await twin.twin("github", "POST", f"transfers/{asked['id']}", {"accept": True})
    mine: Any = await asyncio.to_thread(lambda: guest.get_repo(f"{login}/{name}"))
    assert (mine.id, mine.permissions.admin) == (repository.id, True)
    assert await asyncio.to_thread(mine.get_collaborator_permission, repository.owner.login) == "write"
    await asyncio.to_thread(mine.delete)


@in_thread
def test_a_template_gives_its_files_without_its_history(github: Service, repository: Repository) -> None:
    sdk = pygithub(github)
    user: Any = sdk.get_user()
    repository.create_file("src/a.txt", "Second", "content")
    with pytest.raises(UnknownObjectException):
        user.create_repo_from_template(unique(), repository)
    repository.edit(is_template=True)
    made = user.create_repo_from_template(unique(), repository, private=True)
    soon(lambda: list(made.get_branches()))
    assert [each.commit.message for each in made.get_commits()] == ["Initial commit"]
    assert made.get_contents("src/a.txt").decoded_content == b"content"
    assert sdk.get_repo(made.id).raw_data["template_repository"]["id"] == repository.id
    with pytest.raises(GithubException, match="Could not clone: Name already exists on this account"):
        user.create_repo_from_template(made.name, repository)
    made.delete()
