"""A new repository with the files of a template, and none of its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.fields import flag, text
from server.twins.github.git.objects import NewCommit, write_commit
from server.twins.github.names import repository_name

if TYPE_CHECKING:
    from server.twins.github.changes import Changes
    from server.twins.github.repositories import Repositories

Doc = dict[str, Any]


class Templates:
    def __init__(self, repositories: Repositories, changes: Changes) -> None:
        self._repositories = repositories
        self._changes = changes

    async def generate(self, template: Doc, owner: Doc, body: Doc) -> Doc:
        """The repository, still empty: `fill` does the rest, after GitHub has answered."""
        name = repository_name(text(body, "name", needed=True))
        if self._repositories.named(owner["login"], name):
            taken = "Could not clone: Name already exists on this account"
            raise errors.unprocessable(taken, taken)
        described = {"name": name, "description": text(body, "description"), "private": flag(body, "private")}
        return await self._repositories.create(owner, {**described, "template": template["id"]})

    async def fill(self, template: Doc, made: Doc, *, all_branches: bool) -> None:
        source, target = self._repositories.git(template), self._repositories.git(made)
        branches = await source.branches()
        if not all_branches:
            branches = {name: sha for name, sha in branches.items() if name == template["default_branch"]}
        if not branches:
            return
        heads = [f"refs/heads/{name}" for name in branches]
        await target.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(source.folder), *heads)
        author = self._repositories.person(self._repositories.owner(made))
        await target.point_head(template["default_branch"])
        for name, sha in branches.items():
            tree = await target.run("rev-parse", f"{sha}^{{tree}}")
            commit = await write_commit(target, NewCommit("Initial commit", tree, [], author, author))
            await target.set_ref(f"refs/heads/{name}", commit)
        if self._repositories.by_id(made["id"]):  # it may be gone by now
            self._repositories.change(made, default_branch=template["default_branch"])
        await self._changes.pushed(made["id"])
