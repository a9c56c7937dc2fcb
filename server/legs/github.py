"""The repository: private, one per session (GitHub REST)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from server.errors import LegError
from server.legs import Listed, Resources
from server.legs.names import Moment, is_ours
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.legs import Intent
    from server.legs.vendor import Answer, Vendor
    from server.settings import LegName, Settings

NAME_TAKEN = 422
NOT_FOUND = 404
PAGE = 100


class _Repository(BaseModel):
    name: str
    full_name: str
    html_url: str
    private: bool
    created_at: Moment
    description: str | None = None


class _Repositories(BaseModel):
    items: list[_Repository]


class _User(BaseModel):
    login: str


class GitHubLeg:
    name: LegName = "git"

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        self._vendor = vendor
        self._owner = settings.github_owner or ""
        self._path: str | None = None

    async def make(self, intent: Intent) -> Resources:
        body: dict[str, Any] = {
            "name": intent.app_id,
            "private": True,
            "description": _marker(intent.app_id),
            "has_wiki": False,
            "has_projects": False,
        }
        answer = await self._vendor.call("POST", await self._repositories(), body, accept=(NAME_TAKEN,))
        if answer.status == NAME_TAKEN:
            answer = await self._vendor.call("GET", self._one(intent.app_id))
        return self._adopt(intent.app_id, answer)

    async def find(self, intent: Intent) -> Resources | None:
        answer = await self._vendor.call("GET", self._one(intent.app_id), accept=(NOT_FOUND,))
        return None if answer.status == NOT_FOUND else self._adopt(intent.app_id, answer)

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        """What is not on record as ours is removed only with our mark on it."""
        if not reference:
            answer = await self._vendor.call("GET", self._one(app_id), accept=(NOT_FOUND,))
            if answer.status == NOT_FOUND:
                return
            if not self._is_marked(app_id, self._vendor.read(_Repository, answer.body)):
                return
        await self._vendor.call("DELETE", self._one(app_id), accept=(NOT_FOUND,))

    async def listed(self) -> AsyncIterator[Listed]:
        path, page, seen = await self._repositories(), 0, set[str]()
        while True:
            page += 1
            query = {"per_page": str(PAGE), "page": str(page), "sort": "created", "direction": "asc"}
            answer = await self._vendor.call("GET", path, query=query)
            found = self._vendor.read(_Repositories, {"items": answer.body}).items
            for repository in found:
                if is_ours(repository.name) and self._is_marked(repository.name, repository):
                    yield Listed(repository.name, {"name": repository.name}, repository.created_at)
            if not found:
                return
            if (last := found[-1].full_name) in seen:
                raise self._vendor.incomplete()
            seen.add(last)

    async def _repositories(self) -> str:
        """An organisation's repositories are under another path than the user's own."""
        if self._path is None:
            user = self._vendor.read(_User, (await self._vendor.call("GET", "/user")).body)
            own = user.login.lower() == self._owner.lower()
            self._path = "/user/repos" if own else f"/orgs/{self._owner}/repos"
        return self._path

    def _one(self, app_id: str) -> str:
        return f"/repos/{self._owner}/{app_id}"

    def _is_marked(self, app_id: str, repository: _Repository) -> bool:
        """Only a private repository that carries our mark, where we asked for it, is ours."""
        there = repository.full_name.lower() == f"{self._owner}/{app_id}".lower()
        return there and repository.private and repository.description == _marker(app_id)

    def _adopt(self, app_id: str, answer: Answer) -> Resources:
        repository = self._vendor.read(_Repository, answer.body, made=True)
        if not self._is_marked(app_id, repository):
            raise LegError(
                f"GitHub has a repository named {app_id} that this session did not make.",
                code="name_taken",
                next_action="Rename or remove that repository, then provision this service again.",
            )
        env = {"GITHUB_REPO": repository.full_name, "GITHUB_REPO_URL": repository.html_url}
        return Resources(
            {name: Secret(value) for name, value in env.items()},
            {"full_name": repository.full_name, "url": repository.html_url},
        )


def _marker(app_id: str) -> str:
    return f"Built with mk0r · {app_id}"
