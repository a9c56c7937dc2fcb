"""Owners, tokens and repositories: what exists, who sees it, what a name may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.core.auth import digest, same
from server.twins.github import errors
from server.twins.github.fields import FLAGS, flag, text
from server.twins.github.git import BareRepository, Person

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.core import Site

Doc = dict[str, Any]

LOGIN = "mk0r"
"""The user whose token the operator holds."""
ORGANIZATION = "mk0r-apps"
"""An organisation that user owns."""
_IDS = {LOGIN: 1001, ORGANIZATION: 1002}
LONGEST_NAME = 100


@dataclass(frozen=True)
class Actor:
    """Whoever holds a token. `repositories` limits it to those full names; None means all."""

    token: str
    repositories: frozenset[str] | None
    writes: bool

    def sees(self, repository: Doc) -> bool:
        return self.repositories is None or full_name(repository).lower() in self.repositories

    def may_push(self, repository: Doc) -> bool:
        return self.writes and self.sees(repository) and not repository["archived"]

    @property
    def is_user(self) -> bool:
        """A token of the user's own; others stand for one repository only."""
        return self.repositories is None


class Hub:
    def __init__(self, site: Site) -> None:
        self.site = site
        self._records = site.records()
        self._folders = site.data / "repositories"
        self._folders.mkdir(exist_ok=True, mode=0o700)

    # Owners and tokens

    def owner(self, login: str) -> tuple[str, int]:
        """An owner's login as written, and id."""
        for known, owner_id in _IDS.items():
            if known == login.lower():
                return known, owner_id
        raise errors.not_found()

    def actor(self, token: str) -> Actor | None:
        if same(token, self.site.credential):
            return Actor(digest(token), None, writes=True)
        doc = self._records.get("token", digest(token)) if token else None
        if doc is None or datetime.fromisoformat(doc["expires_at"]) <= self.site.clock():
            return None
        return Actor(digest(token), frozenset(doc["repositories"]), writes=doc["writes"])

    def lend_token(self, repositories: list[str], expires_at: datetime, *, writes: bool) -> str:
        """A short-lived token for some repositories, as a GitHub App would mint it."""
        token = ids.token("ghs_", 36)
        doc = {
            "repositories": [each.lower() for each in repositories],
            "expires_at": expires_at.astimezone(UTC).isoformat(),
            "writes": writes,
        }
        self._records.put("token", digest(token), doc)
        return token

    # Repositories

    async def create(self, login: str, body: Doc) -> Doc:
        owner, _ = self.owner(login)
        name = _repository_name(text(body, "name", needed=True))
        if self._named(f"{owner}/{name}"):
            raise errors.name_exists()
        private = flag(body, "private", default=body.get("visibility") in ("private", "internal"))
        now = self._now()
        doc: Doc = {
            "id": ids.number(),
            "owner": owner,
            "name": name,
            "private": private,
            "description": text(body, "description"),
            "homepage": text(body, "homepage"),
            "archived": False,
            "default_branch": "main",
            "created_at": now,
            "updated_at": now,
            "pushed_at": now,
            **{field: flag(body, field, default=default) for field, default in FLAGS.items()},
        }
        auto_init = flag(body, "auto_init")
        self._put(doc)  # the name is taken from here on, whoever asks meanwhile
        try:
            await self.git(doc).init("main")
            if auto_init:
                author = Person(owner, f"{owner}@users.noreply.github.com", now)
                await self.git(doc).first_commit("main", "README.md", f"# {name}\n", author)
        except BaseException:
            self._forget(doc)
            raise
        return doc

    def find(self, owner: str, name: str, actor: Actor | None) -> Doc:
        """A repository this actor may see; a name it has left is answered with where it went."""
        wanted = f"{owner}/{name}"
        doc = self._named(wanted)
        if doc is None and (moved := self._records.get("moved", wanted.lower())):
            doc = self.by_id(moved["id"], actor)
            raise errors.moved(f"{self.site.base_url}/repositories/{doc['id']}")
        return self._shown_to(actor, doc)

    def by_id(self, repository_id: int, actor: Actor | None) -> Doc:
        return self._shown_to(actor, self._records.get("repository", str(repository_id)))

    def repository_of_git(self, owner: str, name: str) -> Doc | None:
        """For the git transport, which follows a rename by itself."""
        wanted = f"{owner}/{name}"
        moved = self._records.get("moved", wanted.lower())
        return self._named(wanted) or (self._records.get("repository", str(moved["id"])) if moved else None)

    def list(self, login: str | None, actor: Actor) -> list[Doc]:
        """Newest first."""
        docs = self._records.all("repository")[::-1]
        return [doc for doc in docs if actor.sees(doc) and login in (None, doc["owner"])]

    async def update(self, doc: Doc, body: Doc) -> Doc:
        new = dict(doc)
        for field in ("description", "homepage"):
            if field in body:
                new[field] = text(body, field)
        for field in ("private", "archived", *FLAGS):
            new[field] = flag(body, field, default=doc.get(field, False))
        if "visibility" in body:
            new["private"] = body["visibility"] != "public"
        if branch := text(body, "default_branch"):
            if branch not in await self.git(doc).branches():
                raise errors.no_such_branch(branch)
            await self.git(doc).point_head(branch)
            new["default_branch"] = branch
        if name := text(body, "name"):
            self._rename(doc, new, _repository_name(name))
        new["updated_at"] = self._now()
        self._put(new)
        return new

    async def delete(self, doc: Doc) -> None:
        self._forget(doc)
        await self.git(doc).remove()

    async def pushed(self, repository_id: int) -> None:
        """After a push: the time of it, and the first branch of an empty repository becomes its default."""
        doc = self._records.get("repository", str(repository_id))
        if doc is None:
            return
        branches = await self.git(doc).branches()
        if branches and doc["default_branch"] not in branches:
            doc["default_branch"] = next(iter(branches))
            await self.git(doc).point_head(doc["default_branch"])
        self._put({**doc, "pushed_at": self._now(), "updated_at": self._now()})

    def folder(self, doc: Doc) -> Path:
        """By id, so that a rename moves nothing and a name can never point elsewhere."""
        return self._folders / f"{doc['id']}.git"

    def git(self, doc: Doc) -> BareRepository:
        return BareRepository(self.folder(doc))

    def _shown_to(self, actor: Actor | None, doc: Doc | None) -> Doc:
        if doc is None or not (actor.sees(doc) if actor else not doc["private"]):
            raise errors.not_found()
        return doc

    def _named(self, name: str) -> Doc | None:
        known = self._records.get("name", name.lower())
        return self._records.get("repository", str(known["id"])) if known else None

    def _put(self, doc: Doc) -> None:
        self._records.put("repository", str(doc["id"]), doc)
        self._records.put("name", full_name(doc).lower(), {"id": doc["id"]})
        self._records.delete("moved", full_name(doc).lower())

    def _forget(self, doc: Doc) -> None:
        self._records.delete("name", full_name(doc).lower())
        self._records.delete("repository", str(doc["id"]))

    def _rename(self, old: Doc, new: Doc, name: str) -> None:
        if name.lower() != old["name"].lower():
            if self._named(f"{old['owner']}/{name}"):
                raise errors.name_exists()
            self._records.delete("name", full_name(old).lower())
            self._records.put("moved", full_name(old).lower(), {"id": old["id"]})
        new["name"] = name

    def _now(self) -> str:
        return self.site.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def full_name(doc: Doc) -> str:
    return f"{doc['owner']}/{doc['name']}"


def _repository_name(asked: str) -> str:
    """GitHub replaces what a name may not hold rather than refuse it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", asked).removesuffix(".git")
    if len(name) > LONGEST_NAME:
        raise errors.name_too_long()
    if name in ("", ".", ".."):
        raise errors.not_supplied("name")
    return name
