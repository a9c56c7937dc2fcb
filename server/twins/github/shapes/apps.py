"""The GitHub App, its installations and their tokens."""

from __future__ import annotations

from typing import Any

from server.twins.github.installations import PERMISSIONS
from server.twins.github.names import node_id
from server.twins.github.shapes.repositories import RepositoryShapes

Doc = dict[str, Any]


class AppShapes(RepositoryShapes):
    def app(self) -> Doc:
        """`integration`."""
        key = self.hub.key
        return {
            "id": key.id,
            "client_id": key.client_id,
            "slug": key.slug,
            "node_id": node_id("App", key.id),
            "owner": self.account(self.hub.app_owner),
            "name": key.slug,
            "description": "The GitHub App of this machine",
            "external_url": self.base,
            "html_url": f"{self.base}/apps/{key.slug}",
            "created_at": key.made_at,
            "updated_at": key.made_at,
            "permissions": PERMISSIONS,
            "events": list[str](),
            "installations_count": len(self.hub.installations.all()),
        }

    def installation(self, doc: Doc) -> Doc:
        account = self.hub.accounts.by_id(doc["account"])
        place = f"organizations/{account['login']}/settings" if account["type"] == "Organization" else "settings"
        return {
            "id": doc["id"],
            "client_id": self.hub.key.client_id,
            "account": self.account(account),
            "repository_selection": "all" if doc["repositories"] is None else "selected",
            "access_tokens_url": f"{self.base}/app/installations/{doc['id']}/access_tokens",
            "repositories_url": f"{self.base}/installation/repositories",
            "html_url": f"{self.base}/{place}/installations/{doc['id']}",
            "app_id": self.hub.key.id,
            "app_slug": self.hub.key.slug,
            "target_id": account["id"],
            "target_type": account["type"],
            "permissions": doc["permissions"],
            "events": list[str](),
            "created_at": doc["created_at"],
            "updated_at": doc["updated_at"],
            "single_file_name": None,
            "has_multiple_single_files": False,
            "single_file_paths": list[str](),
            "suspended_by": self.account(self.hub.app_owner) if doc["suspended_at"] else None,
            "suspended_at": doc["suspended_at"],
        }
