"""Repositories: made, found, renamed, handed over, removed. Each lies in a folder named by its id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.fields import FLAGS, flag, text
from server.twins.github.git import BareRepository
from server.twins.github.git.edit import Change, changed_tree
from server.twins.github.git.languages import languages
from server.twins.github.git.objects import NewCommit, Person, write_blob, write_commit
from server.twins.github.names import repository_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from server.twins.core import Records, Site
    from server.twins.github.accounts import Accounts
    from server.twins.github.git import Git

Doc = dict[str, Any]

_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
MOST_TOPICS = 20


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
        self._forget(doc)
        await self.git(doc).remove()

    # Changing

    async def update(self, doc: Doc, body: Doc) -> Doc:
        new = dict(doc)
        for field in ("description", "homepage"):
            if field in body:
                new[field] = text(body, field)
        for field in ("private", "archived", *FLAGS):
            new[field] = flag(body, field, default=doc[field])
        if body.get("visibility"):
            new["private"] = body["visibility"] != "public"
        if branch := text(body, "default_branch"):
            if branch not in await self.git(doc).branches():
                raise errors.invalid("Repository", "invalid", "default_branch", value=branch)
            await self.git(doc).point_head(branch)
            new["default_branch"] = branch
        if name := text(body, "name"):
            self.move(new, self.owner(doc), repository_name(name))
        return self._changed(new)

    def set_topics(self, doc: Doc, names: Sequence[Any]) -> Doc:
        topics = [*dict.fromkeys(str(name).lower() for name in names)]
        if len(topics) > MOST_TOPICS:
            raise errors.unprocessable("Validation Failed", "A repository cannot have more than 20 topics.")
        if not all(_TOPIC.fullmatch(topic) for topic in topics):
            raise errors.unprocessable(
                "Validation Failed",
                "Topics must start with a lowercase letter or number, consist of 50 characters or less, "
                "and can include hyphens.",
            )
        return self._changed({**doc, "topics": topics})

    def move(self, doc: Doc, owner: Doc, name: str) -> None:
        """Give it another owner or name, in place; the old name leads on to it until another takes it."""
        before = self._records.get("repository", str(doc["id"])) or doc
        old = _key(self.owner(before)["login"], before["name"])
        new = _key(owner["login"], name)
        if old != new:
            if self._records.get("name", new):
                raise errors.name_exists()
            self._records.delete("name", old)
            self._records.put("moved", old, {"id": doc["id"]})
        doc["name"], doc["owner_id"] = name, owner["id"]
        self.put(doc)

    async def pushed(self, repository_id: int) -> None:
        """After its refs have moved: the time of it, what it is written in, and a default branch that exists."""
        doc = self.by_id(repository_id)
        if doc is None:
            return
        git, new = self.git(doc), {**doc, "pushed_at": now(self._site)}
        branches = await git.branches()
        if branches and doc["default_branch"] not in branches:
            new["default_branch"] = next(iter(branches))
            await git.point_head(new["default_branch"])
        spoken = await languages(git, branches[new["default_branch"]]) if branches else {}
        new["language"], new["size"] = next(iter(spoken), None), await git.size()
        facts = ("pushed_at", "default_branch", "language", "size")
        if latest := self.by_id(repository_id):  # it may have been renamed meanwhile, or be gone
            self._changed({**latest, **{fact: new[fact] for fact in facts}})

    def _changed(self, doc: Doc) -> Doc:
        doc["updated_at"] = now(self._site)
        self.put(doc)
        return doc

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
