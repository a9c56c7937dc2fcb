"""Collaborators of a repository, and the invitations that make them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.actors import ROLES

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.github.access import Access
    from server.twins.github.accounts import Accounts

Doc = dict[str, Any]

_WIRE = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
EXPIRES = timedelta(days=7)


class Collaborators:
    def __init__(self, site: Site, records: Records, accounts: Accounts, access: Access) -> None:
        self._site = site
        self._records = records
        self._accounts = accounts
        self._access = access

    def all(self, repository: Doc, affiliation: str = "all") -> list[tuple[Doc, str]]:
        """User and role: the owners, the members of its organisation, and who was invited (`direct`)."""
        owner = self._accounts.by_id(repository["owner_id"])
        owners = [owner] if owner["type"] == "User" else [user for user, _ in self._accounts.members(owner)]
        own = [each for each in self._records.all("collaborator") if each["repository"] == repository["id"]]
        direct = [self._accounts.by_id(each["user"]) for each in own]
        outside = [each for each in direct if each["id"] not in {owner["id"] for owner in owners}]
        chosen = {"outside": outside, "direct": [owner, *direct] if owner["type"] == "User" else direct}
        users = {user["id"]: user for user in chosen.get(affiliation, [*owners, *direct])}
        return [(user, self._access.role_of(user, repository)) for user in users.values()]

    def has(self, repository: Doc, user: Doc) -> bool:
        return user["id"] in {each["id"] for each, _ in self.all(repository)}

    def put(self, repository: Doc, user: Doc, role: str) -> None:
        doc = {"repository": repository["id"], "user": user["id"], "role": role}
        self._records.put("collaborator", f"{repository['id']}:{user['id']}", doc)

    def invite(self, repository: Doc, user: Doc, permission: Any, inviter: Doc) -> Doc | None:
        """The invitation; None where none is needed, and the role is as asked from now on."""
        owner = self._accounts.by_id(repository["owner_id"])
        if user["type"] != "User":
            raise _refused("Only users can be collaborators")
        if user["id"] == owner["id"]:
            raise _refused("Repository owner cannot be a collaborator")
        role = self._asked_role(owner, permission)
        if self._access.role_of(user, {**repository, "private": True}) != "none":
            self.put(repository, user, role)
            return None
        if pending := next((each for each in self.invitations(repository) if each["invitee"] == user["id"]), None):
            return self.change(pending, role)
        doc: Doc = {
            "id": ids.number(),
            "repository": repository["id"],
            "invitee": user["id"],
            "inviter": inviter["id"],
            "role": role,
            "created_at": now(self._site),
        }
        self._records.put("invitation", str(doc["id"]), doc)
        return doc

    @staticmethod
    def _asked_role(owner: Doc, permission: Any) -> str:
        """A repository of a person's has one kind of collaborator, who may push."""
        role = _WIRE.get(str(permission or "push"))
        if role is None:
            raise errors.invalid("RepositoryInvitation", "invalid", "permissions")
        return "write" if owner["type"] == "User" else role

    def remove(self, repository: Doc, user: Doc) -> None:
        """An invitation not yet answered goes with it."""
        self._records.delete("collaborator", f"{repository['id']}:{user['id']}")
        for each in self.invitations(repository):
            if each["invitee"] == user["id"]:
                self.withdraw(each)

    # Invitations

    def invitations(self, repository: Doc) -> list[Doc]:
        return [each for each in self._records.all("invitation") if each["repository"] == repository["id"]]

    def invitations_to(self, user: Doc) -> list[Doc]:
        return [each for each in self._records.all("invitation") if each["invitee"] == user["id"]]

    def invitation(self, invitation_id: int) -> Doc:
        found = self._records.get("invitation", str(invitation_id))
        if found is None:
            raise errors.not_found()
        return found

    def is_expired(self, invitation: Doc) -> bool:
        return datetime.fromisoformat(invitation["created_at"]) + EXPIRES <= self._site.clock()

    def change(self, invitation: Doc, role: str) -> Doc:
        """`role` as roles are called here or, in GitHub's `permissions`, there."""
        if role not in ROLES:
            raise errors.invalid("RepositoryInvitation", "invalid", "permissions")
        new = {**invitation, "role": role}
        self._records.put("invitation", str(new["id"]), new)
        return new

    def accept(self, invitation: Doc, repository: Doc) -> None:
        if self.is_expired(invitation):
            raise errors.not_found()
        self.put(repository, self._accounts.by_id(invitation["invitee"]), invitation["role"])
        self.withdraw(invitation)

    def withdraw(self, invitation: Doc) -> None:
        self._records.delete("invitation", str(invitation["id"]))


def _refused(message: str) -> errors.Refusal:
    return errors.unprocessable("Validation Failed", {"resource": "Repository", "code": "custom", "message": message})
