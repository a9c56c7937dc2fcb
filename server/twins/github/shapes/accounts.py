"""Users and organisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github.accounts import PROFILE
from server.twins.github.names import node_id

if TYPE_CHECKING:
    from server.twins.github.state import Hub

Doc = dict[str, Any]

_USER_LINKS = {
    "events_url": "/events{/privacy}",
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "organizations_url": "/orgs",
    "received_events_url": "/received_events",
    "repos_url": "/repos",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
}
_ORGANIZATION_LINKS = {
    "repos_url": "/repos",
    "events_url": "/events",
    "hooks_url": "/hooks",
    "issues_url": "/issues",
    "members_url": "/members{/member}",
    "public_members_url": "/public_members{/member}",
}


class AccountShapes:
    def __init__(self, hub: Hub, base: str, version: str) -> None:
        """`base` is the address the caller used; `version` the API's."""
        self.hub = hub
        self.base = base
        self.version = version

    def account(self, doc: Doc) -> Doc:
        """`simple-user`, which an organisation is, too, where it owns something."""
        url = f"{self.base}/users/{doc['login']}"
        return {
            "login": doc["login"],
            "id": doc["id"],
            "node_id": node_id(doc["type"], doc["id"]),
            "avatar_url": f"{self.base}/avatars/u/{doc['id']}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.base}/{doc['login']}",
            **{name: url + path for name, path in _USER_LINKS.items()},
            "type": doc["type"],
            "user_view_type": "public",
            "site_admin": False,
        }

    def profile(self, doc: Doc) -> Doc:
        """`public-user`."""
        repositories = self.hub.repositories.of(doc)
        return {
            **self.account(doc),
            **{field: doc[field] for field in PROFILE},
            "blog": doc["blog"] or "",
            "public_repos": sum(not each["private"] for each in repositories),
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": doc["created_at"],
            "updated_at": doc["updated_at"],
        }

    def own_profile(self, doc: Doc) -> Doc:
        """`private-user`: as the user sees themselves."""
        repositories = self.hub.repositories.of(doc)
        private = sum(each["private"] for each in repositories)
        return {
            **self.profile(doc),
            "user_view_type": "private",
            "notification_email": None,
            "private_gists": 0,
            "total_private_repos": private,
            "owned_private_repos": private,
            "disk_usage": sum(each["size"] for each in repositories),
            "collaborators": 0,
            "two_factor_authentication": True,
            "plan": {"collaborators": 0, "name": "pro", "space": 976562499, "private_repos": 9999},
        }

    def organization(self, doc: Doc) -> Doc:
        """`organization-simple`."""
        url = f"{self.base}/orgs/{doc['login']}"
        return {
            "login": doc["login"],
            "id": doc["id"],
            "node_id": node_id("Organization", doc["id"]),
            "url": url,
            **{name: url + path for name, path in _ORGANIZATION_LINKS.items()},
            "avatar_url": f"{self.base}/avatars/u/{doc['id']}?v=4",
            "description": doc["bio"] or "",
        }

    def whole_organization(self, doc: Doc, *, to_member: bool) -> Doc:
        """`organization-full`; its members learn more."""
        repositories = self.hub.repositories.of(doc)
        private = sum(each["private"] for each in repositories)
        shape: Doc = {
            **self.organization(doc),
            **{field: doc[field] for field in ("name", "company", "location", "email") if doc[field]},
            "blog": doc["blog"] or "",
            "has_organization_projects": True,
            "has_repository_projects": True,
            "public_repos": len(repositories) - private,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "html_url": f"{self.base}/{doc['login']}",
            "created_at": doc["created_at"],
            "updated_at": doc["updated_at"],
            "archived_at": None,
            "type": "Organization",
        }
        if to_member:
            shape |= {"total_private_repos": private, "owned_private_repos": private, "private_gists": 0}
            shape |= {"default_repository_permission": "read", "members_can_create_repositories": True}
            shape |= {
                "plan": {"name": "free", "space": 976562499, "private_repos": 10000, "filled_seats": 1, "seats": 0}
            }
        return shape

    def membership(self, organization: Doc, user: Doc, role: str) -> Doc:
        url = f"{self.base}/orgs/{organization['login']}"
        return {
            "url": f"{url}/memberships/{user['login']}",
            "state": "active",
            "role": role,
            "organization_url": url,
            "organization": self.organization(organization),
            "user": self.account(user),
        }
