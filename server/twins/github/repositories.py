"""Repositories: made, found, renamed, handed over, removed. Each lies in a folder named by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.fields import FLAGS, flag, text
from server.twins.github.git import BareRepository
from server.twins.github.git.edit import Change, changed_tree
from server.twins.github.git.objects import NewCommit, Person, write_blob, write_commit
from server.twins.github.names import repository_name

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.core import Records, Site
    from server.twins.github.accounts import Accounts
    from server.twins.github.git import Git

Doc = dict[str, Any]


class Repositories:
    def __init__(self, site: Site, records: Records, accounts: Accounts, git: Git, folder: Path) -> None:
        self._site = site
        self._records = records
        self._accounts = accounts
        self._git = git
        self.folder = folder

    # Finding

    def all(self) -> list[Doc]:
        """Oldest first."""
        return self._records.all("repository")

    def of(self, owner: Doc) -> list[Doc]:
        return [doc for doc in self.all() if doc["owner_id"] == owner["id"]]

    def by_id(self, repository_id: int) -> Doc | None:
        return self._records.get("repository", str(repository_id))

    def named(self, owner: str, name: str) -> Doc | None:
        known = self._records.get("name", _key(owner, name))
        return self.by_id(known["id"]) if known else None

    def moved(self, owner: str, name: str) -> Doc | None:
        """The repository that once had this name, where no other has it now."""
        known = self._records.get("moved", _key(owner, name))
        return self.by_id(known["id"]) if known else None

    def owner(self, doc: Doc) -> Doc:
        return self._accounts.by_id(doc["owner_id"])

    def full_name(self, doc: Doc) -> str:
        return f"{self.owner(doc)['login']}/{doc['name']}"

    def git(self, doc: Doc) -> BareRepository:
        """By id, so that a rename moves nothing and a name can never point elsewhere."""
        return BareRepository(self.folder / f"{doc['id']}.git", self._git)

    # Making and removing

    async def create(self, owner: Doc, body: Doc) -> Doc:
        name = repository_name(text(body, "name", needed=True))
        if self.named(owner["login"], name):
            raise errors.name_exists()
        moment = now(self._site)
        doc: Doc = {
            "id": ids.number(1_200_000_000),
            "owner_id": owner["id"],
            "name": name,
            "private": flag(body, "private", default=body.get("visibility") in ("private", "internal")),
            "description": text(body, "description"),
            "homepage": text(body, "homepage"),
            "archived": False,
            "default_branch": "main",
            "topics": [],
            "language": None,
            "size": 0,
            "template": body.get("template"),
            **dict.fromkeys(("created_at", "updated_at", "pushed_at"), moment),
            **{field: flag(body, field, default=default) for field, default in FLAGS.items()},
        }
        auto_init = flag(body, "auto_init")
        self.put(doc)  # the name is taken from here on, whoever asks meanwhile
        try:
            await self.git(doc).init("main")
            if auto_init:
                await self._first_commit(doc, owner)
        except BaseException:
            self._forget(doc)
            raise
        return doc

    async def _first_commit(self, doc: Doc, owner: Doc) -> None:
        git = self.git(doc)
        about = f"\n{doc['description']}" if doc["description"] else ""
        readme = Change("README.md", "100644", await write_blob(git, f"# {doc['name']}{about}\n".encode()))
        author = self.person(owner)
        commit = NewCommit("Initial commit", await changed_tree(git, None, [readme]), [], author, author)
        await git.set_ref(f"refs/heads/{doc['default_branch']}", await write_commit(git, commit))

    def person(self, account: Doc) -> Person:
        """Who writes a commit for an account."""
        return Person(account["name"] or account["login"], self._accounts.emails(account)[0], self._site.clock())

    async def delete(self, doc: Doc) -> None:
        self._forget(self.by_id(doc["id"]) or doc)
        await self.git(doc).remove()

    # Changing

    def change(self, doc: Doc, **values: Any) -> Doc:
        """Over what it is now: it may have changed since it was read. Raises 404 where it is gone."""
        latest = self.by_id(doc["id"])
        if latest is None:
            raise errors.not_found()
        new = {**latest, **values, "updated_at": now(self._site)}
        self.put(new)
        return new

    def move(self, doc: Doc, owner: Doc, name: str) -> Doc:
        """Give it another owner or name; the old name leads on to it until another takes it."""
        latest = self.by_id(doc["id"]) or doc
        before, after = _key(self.owner(latest)["login"], latest["name"]), _key(owner["login"], name)
        if before != after:
            if self._records.get("name", after):
                raise errors.invalid("Repository", "custom", "name", message="name already exists on this account")
            self._records.delete("name", before)
            self._records.put("moved", before, {"id": doc["id"]})
        new = {**latest, "name": name, "owner_id": owner["id"]}
        self.put(new)
        return new

    def put(self, doc: Doc) -> None:
        key = _key(self.owner(doc)["login"], doc["name"])
        self._records.put("repository", str(doc["id"]), doc)
        self._records.put("name", key, {"id": doc["id"]})
        self._records.delete("moved", key)

    def _forget(self, doc: Doc) -> None:
        self._records.delete("name", _key(self.owner(doc)["login"], doc["name"]))
        self._records.delete("repository", str(doc["id"]))


def _key(owner: str, name: str) -> str:
    return f"{owner}/{name}".lower()
