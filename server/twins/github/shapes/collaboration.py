"""Collaborators, invitations and deploy keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github.actors import at_least
from server.twins.github.names import old_node_id
from server.twins.github.shapes.repositories import RepositoryShapes

if TYPE_CHECKING:
    from collections.abc import Mapping

Doc = dict[str, Any]

_RIGHTS: Mapping[str, str] = {
    "pull": "read",
    "triage": "triage",
    "push": "write",
    "maintain": "maintain",
    "admin": "admin",
}
_OLD = {"triage": "read", "maintain": "write"}
"""The roles that came later, as the older field names them."""


class CollaborationShapes(RepositoryShapes):
    def collaborator(self, user: Doc, role: str) -> Doc:
        rights = {right: at_least(role, needed) for right, needed in _RIGHTS.items()}
        return {**self.account(user), "permissions": rights, "role_name": role}

    def permission(self, user: Doc, role: str) -> Doc:
        old = _OLD.get(role, role)
        return {"permission": old, "role_name": role, "user": self.collaborator(user, role)}

    def invitation(self, doc: Doc) -> Doc:
        repository = self.hub.repositories.by_id(doc["repository"])
        assert repository is not None  # noqa: S101 - its invitations go when it goes
        return {
            "id": doc["id"],
            "node_id": old_node_id("RepositoryInvitation", doc["id"]),
            "repository": self.bare_repository(repository),
            "invitee": self.account(self.hub.accounts.by_id(doc["invitee"])),
            "inviter": self.account(self.hub.accounts.by_id(doc["inviter"])),
            "permissions": doc["role"],
            "created_at": doc["created_at"],
            "expired": self.hub.collaborators.is_expired(doc),
            "url": f"{self.base}/user/repository_invitations/{doc['id']}",
            "html_url": f"{self.home(repository)}/invitations",
        }

    def deploy_key(self, repository: Doc, doc: Doc) -> Doc:
        return {
            "id": doc["id"],
            "key": doc["key"],
            "url": f"{self.url(repository)}/keys/{doc['id']}",
            "title": doc["title"],
            "verified": True,
            "created_at": doc["created_at"],
            "read_only": doc["read_only"],
            "added_by": doc["added_by"],
            "last_used": None,
            "enabled": True,
        }
