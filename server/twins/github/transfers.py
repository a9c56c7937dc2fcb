"""Handing a repository over: at once to an organisation one may create in, on their consent to a person."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.fields import text
from server.twins.github.names import repository_name

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.github.accounts import Accounts
    from server.twins.github.actors import Actor
    from server.twins.github.collaborators import Collaborators
    from server.twins.github.repositories import Repositories

Doc = dict[str, Any]

EXPIRES = timedelta(days=1)
"""How long the one who shall have it may think about it (GitHub docs, "Transferring a repository")."""


class Transfers:
    def __init__(
        self, site: Site, records: Records, accounts: Accounts, repositories: Repositories, collaborators: Collaborators
    ) -> None:
        self._site = site
        self._records = records
        self._accounts = accounts
        self._repositories = repositories
        self._collaborators = collaborators

    def begin(self) -> None:
        """Go on with what was agreed when the twin went down."""
        for each in self._records.all("transfer"):
            if each["agreed"]:
                self._finish(each["id"])

    def pending(self) -> list[Doc]:
        """Those that wait for consent."""
        held = [each for each in self._records.all("transfer") if not each["agreed"]]
        return [each for each in held if datetime.fromisoformat(each["created_at"]) + EXPIRES > self._site.clock()]

    def start(self, repository: Doc, actor: Actor, body: Doc) -> None:
        owner = self._accounts.named(text(body, "new_owner", needed=True))
        name = repository_name(text(body, "new_name") or repository["name"])
        if owner is None or owner["id"] == repository["owner_id"]:
            raise errors.invalid("Repository", "invalid", "new_owner")
        if self._repositories.named(owner["login"], name):
            message = "Repositories cannot be transferred to an owner that has one of the same name."
            raise errors.invalid("Repository", "custom", "new_owner", message=message)
        if owner["type"] == "Organization" and not self._accounts.membership(owner["id"], actor.account["id"]):
            raise errors.forbidden("You don't have the permission to create repositories on the target organization.")
        doc: Doc = {
            "id": str(ids.number()),
            "repository": repository["id"],
            "owner": owner["id"],
            "name": name,
            "agreed": owner["type"] == "Organization",
            "created_at": now(self._site),
        }
        for earlier in self._records.all("transfer"):
            if earlier["repository"] == repository["id"]:
                self._records.delete("transfer", earlier["id"])
        self._records.put("transfer", doc["id"], doc)
        if doc["agreed"]:
            asyncio.get_running_loop().call_soon(self._finish, doc["id"])

    def answer(self, transfer_id: str, *, agreed: bool) -> None:
        """What the link in GitHub's mail does. Raises 404 for one that does not wait."""
        if not any(each["id"] == transfer_id for each in self.pending()):
            raise errors.not_found()
        if agreed:
            self._finish(transfer_id)
        else:
            self._records.delete("transfer", transfer_id)

    def _finish(self, transfer_id: str) -> None:
        """Who gave a repository of their own to another person stays as collaborator."""
        transfer = self._records.get("transfer", transfer_id)
        self._records.delete("transfer", transfer_id)
        repository = self._repositories.by_id(transfer["repository"]) if transfer else None
        if transfer is None or repository is None:
            return
        before, after = self._repositories.owner(repository), self._accounts.by_id(transfer["owner"])
        if self._repositories.named(after["login"], transfer["name"]):
            return
        repository = self._repositories.move(repository, after, transfer["name"])
        self._collaborators.remove(repository, after)
        if before["type"] == after["type"] == "User":
            self._collaborators.put(repository, before, "write")
