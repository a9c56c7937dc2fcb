"""The repository: private, one per session (GitHub REST)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from server.errors import LegError
from server.legs import Resources
from server.secrets import Secret

if TYPE_CHECKING:
    from server.legs.vendor import Answer, Vendor
    from server.settings import LegName, Settings

NAME_TAKEN = 422


class _Repository(BaseModel):
    full_name: str
    html_url: str
    private: bool
    description: str | None = None


class _User(BaseModel):
    login: str


class GitHubLeg:
    name: LegName = "git"

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        self._vendor = vendor
        self._owner = settings.github_owner or ""
        self._path: str | None = None

    async def make(self, app_id: str) -> Resources:
        body: dict[str, Any] = {
            "name": app_id,
            "private": True,
            "description": _marker(app_id),
            "has_wiki": False,
            "has_projects": False,
        }
        answer = await self._vendor.call("POST", await self._creation_path(), body, accept=(NAME_TAKEN,))
        if answer.status == NAME_TAKEN:
            answer = await self._vendor.call("GET", f"/repos/{self._owner}/{app_id}")
        return self._adopt(app_id, answer)

    async def find(self, app_id: str) -> Resources | None:
        answer = await self._vendor.call("GET", f"/repos/{self._owner}/{app_id}", accept=(404,))
        return None if answer.status == 404 else self._adopt(app_id, answer)  # noqa: PLR2004 - not found

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        await self._vendor.call("DELETE", f"/repos/{self._owner}/{app_id}", accept=(404,))

    async def _creation_path(self) -> str:
        """An organisation's repositories are made under another path than the user's own."""
        if self._path is None:
            user = self._vendor.read(_User, (await self._vendor.call("GET", "/user")).body)
            own = user.login.lower() == self._owner.lower()
            self._path = "/user/repos" if own else f"/orgs/{self._owner}/repos"
        return self._path

    def _adopt(self, app_id: str, answer: Answer) -> Resources:
        """Only a private repository that carries our mark is ours."""
        repository = self._vendor.read(_Repository, answer.body)
        if not repository.private or repository.description != _marker(app_id):
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
