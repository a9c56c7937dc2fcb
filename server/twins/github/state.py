"""The whole of the twin's GitHub: its parts, and what concerns several of them at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.access import Access
from server.twins.github.accounts import Accounts, now
from server.twins.github.actors import Actor
from server.twins.github.app_key import app_key
from server.twins.github.changes import Changes
from server.twins.github.collaborators import Collaborators
from server.twins.github.deploy_keys import DeployKeys
from server.twins.github.earlier import complete_repositories
from server.twins.github.installations import Installations
from server.twins.github.repositories import Repositories
from server.twins.github.templates import Templates
from server.twins.github.tickets import Tickets
from server.twins.github.tokens import Tokens
from server.twins.github.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from server.twins.core import Site
    from server.twins.github.git import Git

Doc = dict[str, Any]

log = logging.getLogger(__name__)

_OF_A_REPOSITORY = ("collaborator", "deploy_key", "invitation", "transfer")


class Hub:
    def __init__(self, site: Site, git: Git, folder: Path) -> None:
        """`folder` holds the bare repositories; git's own identity owns it."""
        self.site = site
        self.records = site.records()
        self.key = app_key(site.data, now(site))
        self.tickets = Tickets(site)
        self.accounts = Accounts(site, self.records)
        self.access = Access(self.records, self.accounts)
        self.tokens = Tokens(site, self.records, self.accounts)
        self.repositories = Repositories(site, self.records, self.accounts, git, folder)
        self.collaborators = Collaborators(site, self.records, self.accounts, self.access)
        self.deploy_keys = DeployKeys(site, self.records)
        self.changes = Changes(site, self.repositories)
        self.templates = Templates(self.repositories, self.changes)
        self.transfers = Transfers(site, self.records, self.accounts, self.repositories, self.collaborators)
        self.installations = Installations(site, self.records, self.key, self.accounts, self.tokens, self.repositories)
        self._later: set[asyncio.Task[None]] = set()
        self.begin()

    def begin(self) -> None:
        """What is there on the first day."""
        self.accounts.begin()
        complete_repositories(self.records, self.accounts)
        self.installations.begin()
        self.transfers.begin()

    def actor(self, token: str) -> Actor | None:
        """Who holds the token, or has signed the assertion. Raises what is wrong with an assertion."""
        if token.startswith("ey") and token.count(".") == 2:  # noqa: PLR2004 - a JSON web token
            self.key.verified(token, self.site.clock())
            return Actor("app", f"app/{self.key.id}", self.app_owner)
        return self.tokens.actor(token)

    @property
    def app_owner(self) -> Doc:
        return self.accounts.get("mk0r")

    # Repositories as a caller sees them

    def find(self, owner: str, name: str, actor: Actor | None) -> Doc:
        """The repository of this name. Raises 404 for what the caller cannot see."""
        return self._shown(actor, self.repositories.named(owner, name))

    def moved(self, owner: str, name: str, actor: Actor | None) -> Doc | None:
        """The repository that once had this name, for those who may see it."""
        doc = None if self.repositories.named(owner, name) else self.repositories.moved(owner, name)
        return doc if doc and self.access.sees(actor, doc) else None

    def by_id(self, repository_id: int, actor: Actor | None) -> Doc:
        return self._shown(actor, self.repositories.by_id(repository_id))

    def _shown(self, actor: Actor | None, doc: Doc | None) -> Doc:
        if doc is None or not self.access.sees(actor, doc):
            raise errors.not_found()
        return doc

    def visible(self, actor: Actor | None, docs: list[Doc]) -> list[Doc]:
        return [doc for doc in docs if self.access.sees(actor, doc)]

    async def delete(self, doc: Doc) -> None:
        for kind in _OF_A_REPOSITORY:
            for each in self.records.all(kind):
                if each["repository"] == doc["id"]:
                    self.records.delete(kind, _id(kind, each))
        await self.repositories.delete(doc)

    # Work that goes on after the answer

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_watched(work))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settle(self) -> None:
        """Until that work is done."""
        while self._later:
            await asyncio.wait(self._later)


def _id(kind: str, doc: Doc) -> str:
    return f"{doc['repository']}:{doc['user']}" if kind == "collaborator" else str(doc["id"])


async def _watched(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("work after an answer of the GitHub twin failed")
