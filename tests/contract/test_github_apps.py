"""A GitHub App and its installations, through PyGithub's `GithubIntegration`: what its tokens reach, and how long."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from github import Auth, Github, GithubException, GithubIntegration, UnknownObjectException

from tests.contract.github_sdk import in_thread, options, pygithub, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from github.Repository import Repository

    from tests.contract.conftest import Service

ORGANIZATION = "mk0r-apps"


@dataclass(frozen=True)
class App:
    sdk: GithubIntegration
    service: Service
    facts: dict[str, Any]

    def token(self, installation: int, **asked: Any) -> Github:
        """By a plain call: PyGithub has no word for a token of some repositories."""
        path = f"/app/installations/{installation}/access_tokens"
        _, made = self.sdk.requester.requestJsonAndCheck("POST", path, input=asked)
        return pygithub(self.service, made["token"])


@pytest.fixture
async def app(github: Service) -> App:
    if github.stack is None:
        pytest.skip("needs an App of the account's own")
    facts = await github.stack.twin("github", "GET", "app")
    auth = Auth.AppAuth(facts["id"], facts["private_key"])
    return App(GithubIntegration(auth=auth, **options(github)), github, facts)


@pytest.fixture
async def pair(github: Service) -> AsyncIterator[tuple[Repository, Repository]]:
    """Two private repositories of the organisation."""
    organization = await asyncio.to_thread(pygithub(github).get_organization, ORGANIZATION)

    def make() -> Repository:
        return organization.create_repo(unique(), private=True, auto_init=True)

    made = await asyncio.to_thread(make), await asyncio.to_thread(make)
    yield made
    for each in made:
        await asyncio.to_thread(each.delete)


@in_thread
def test_an_app_finds_where_it_is_installed(app: App, pair: tuple[Repository, Repository]) -> None:
    assert app.sdk.get_app().client_id == app.facts["client_id"]
    accounts = {each.raw_data["account"]["login"]: each.id for each in app.sdk.get_installations()}
    assert app.sdk.get_org_installation(ORGANIZATION).id == accounts[ORGANIZATION]
    assert app.sdk.get_user_installation("mk0r").id == accounts["mk0r"]
    assert app.sdk.get_repo_installation(ORGANIZATION, pair[0].name).id == accounts[ORGANIZATION]
    with pytest.raises(UnknownObjectException):
        app.sdk.get_repo_installation(ORGANIZATION, unique())


@in_thread
def test_an_installation_works_in_its_organisation(app: App, pair: tuple[Repository, Repository]) -> None:
    installation = app.sdk.get_org_installation(ORGANIZATION)
    assert {each.name for each in pair} <= {each.name for each in installation.get_repos()}
    sdk = installation.get_github_for_installation()
    repository = sdk.get_repo(pair[0].full_name)
    made: Any = repository.create_file("by-app.txt", "By the App", "hello")
    assert made["commit"].author.name == f"{app.facts['slug']}[bot]"
    own = sdk.get_organization(ORGANIZATION).create_repo(unique(), private=True)
    own.delete()
    with pytest.raises(GithubException, match="Resource not accessible by integration"):
        sdk.get_user().create_repo(unique())
    with pytest.raises(UnknownObjectException):
        sdk.get_organization("mk0r")


@in_thread
def test_a_token_for_one_repository_reaches_no_other(app: App, pair: tuple[Repository, Repository]) -> None:
    installation = app.sdk.get_org_installation(ORGANIZATION).id
    one, other = pair
    narrow = app.token(installation, repositories=[one.name], permissions={"contents": "read"})
    assert narrow.get_repo(one.full_name).get_contents("README.md")
    with pytest.raises(UnknownObjectException):
        narrow.get_repo(other.full_name)
    with pytest.raises(GithubException, match="Resource not accessible by integration"):
        narrow.get_repo(one.full_name).create_file("a.txt", "No", "a")
    with pytest.raises(GithubException, match="Resource not accessible by integration"):
        narrow.get_repo(one.full_name).delete()
    blind = app.token(installation, repository_ids=[one.id], permissions={"metadata": "read"})
    with pytest.raises(GithubException, match="Resource not accessible by integration"):
        blind.get_repo(one.full_name).get_contents("README.md")


@in_thread
def test_a_token_is_never_given_more_than_was_granted(app: App, pair: tuple[Repository, Repository]) -> None:
    installation = app.sdk.get_org_installation(ORGANIZATION).id
    with pytest.raises(GithubException, match="permissions requested are not granted to this installation"):
        app.sdk.get_access_token(installation, {"issues": "write"})
    with pytest.raises(GithubException, match="does not exist or is not accessible to the parent installation"):
        app.token(installation, repositories=[pair[0].name, unique()])
    with pytest.raises(GithubException, match="Not Found"):
        app.sdk.get_access_token(1)


@in_thread
def test_a_token_has_no_fixed_length_and_can_be_revoked(app: App, pair: tuple[Repository, Repository]) -> None:
    installation = app.sdk.get_org_installation(ORGANIZATION).id
    token = app.sdk.get_access_token(installation).token
    assert token.startswith(f"ghs_{app.facts['id']}_ey")
    assert token.count(".") == 2
    assert len(token) > 255
    path, classic = f"/app/installations/{installation}/access_tokens", {"X-GitHub-Stateless-S2S-Token": "disabled"}
    _, old = app.sdk.requester.requestJsonAndCheck("POST", path, headers=classic)
    assert len(old["token"]) == 40
    sdk = pygithub(app.service, token)
    assert sdk.get_repo(pair[0].full_name).id == pair[0].id
    sdk.requester.requestJsonAndCheck("DELETE", "/installation/token")
    with pytest.raises(GithubException, match="Bad credentials"):
        sdk.get_repo(pair[0].full_name)


@in_thread
def test_an_assertion_must_be_the_apps_and_of_this_hour(app: App) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    anothers = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()

    def told(pem: str = app.facts["private_key"], **changed: Any) -> str:
        def sign(claims: dict[str, Any]) -> str:
            given = {**claims, **{name: claims[name] + by for name, by in changed.items()}}
            return jwt.encode(given, pem, algorithm="RS256")

        auth = Auth.AppAuth(app.facts["id"], sign_func=sign)
        with pytest.raises(GithubException) as refused:
            GithubIntegration(auth=auth, **options(app.service)).get_app()
        return str(refused.value.data["message"])

    assert told(anothers) == "A JSON web token could not be decoded"
    assert told(exp=1200) == "'Expiration time' claim ('exp') is too far in the future"
    assert told(exp=-1200).startswith("'Expiration time' claim ('exp') must be a numeric value representing the future")
    assert told(iat=1200).startswith("'Issued at' claim ('iat') must be an Integer representing the time")
    assert told(iss="1") == "Integration not found"
    with pytest.raises(GithubException, match="A JSON web token could not be decoded"):
        pygithub(app.service).requester.requestJsonAndCheck("GET", "/app")
