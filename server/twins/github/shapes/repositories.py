"""Repositories, in their three sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github.actors import at_least
from server.twins.github.fields import FLAGS
from server.twins.github.headers import NEWEST
from server.twins.github.names import node_id
from server.twins.github.shapes.accounts import AccountShapes

if TYPE_CHECKING:
    from server.twins.github.actors import Actor

Doc = dict[str, Any]

_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_NONE_YET = (
    "forks",
    "forks_count",
    "open_issues",
    "open_issues_count",
    "stargazers_count",
    "watchers",
    "watchers_count",
)
_COPIED = (
    "id",
    "name",
    "private",
    "description",
    "homepage",
    "archived",
    "default_branch",
    "topics",
    "language",
    "size",
)
_TIMES = ("created_at", "updated_at", "pushed_at")
_RIGHTS = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}


class RepositoryShapes(AccountShapes):
    def named(self, doc: Doc) -> str:
        return self.hub.repositories.full_name(doc)

    def url(self, doc: Doc) -> str:
        """Of the repository in the API."""
        return f"{self.base}/repos/{self.named(doc)}"

    def home(self, doc: Doc) -> str:
        """Of the repository as people see it."""
        return f"{self.base}/{self.named(doc)}"

    def bare_repository(self, doc: Doc) -> Doc:
        """What a `minimal-repository` must have."""
        url, home = self.url(doc), self.home(doc)
        return {
            "id": doc["id"],
            "node_id": node_id("Repository", doc["id"]),
            "name": doc["name"],
            "full_name": self.named(doc),
            "private": doc["private"],
            "owner": self.account(self.hub.repositories.owner(doc)),
            "html_url": home,
            "description": doc["description"],
            "fork": False,
            "url": url,
            **{link: url + path for link, path in _LINKS.items()},
        }

    def repository(self, doc: Doc, actor: Actor | None) -> Doc:
        """As in lists."""
        home = self.home(doc)
        flags = {flag: doc[flag] for flag in FLAGS if flag not in _OF_MERGES}
        shape: Doc = {
            **self.bare_repository(doc),
            **{field: doc[field] for field in (*_COPIED, *_TIMES)},
            **flags,
            **dict.fromkeys(_NONE_YET, 0),
            **dict.fromkeys(("license", "mirror_url")),
            "git_url": f"git:{home.partition(':')[2]}.git",
            "ssh_url": f"git@localhost:{self.named(doc)}.git",
            "clone_url": f"{home}.git",
            "svn_url": home,
            "visibility": "private" if doc["private"] else "public",
            "disabled": False,
            "has_pages": False,
            "allow_forking": True,
            "web_commit_signoff_required": False,
        }
        if self.version != NEWEST:
            shape["has_downloads"] = True
        if actor is not None:
            role = self.hub.access.role(actor, doc)
            shape["permissions"] = {right: at_least(role, needed) for right, needed in _RIGHTS.items()}
        return shape

    def full_repository(self, doc: Doc, actor: Actor | None) -> Doc:
        """As it is got, made and changed."""
        owner = self.hub.repositories.owner(doc)
        template = self.hub.repositories.by_id(doc["template"]) if doc["template"] else None
        shape = {**self.repository(doc, actor), "network_count": 0, "subscribers_count": 0}
        if actor is not None and at_least(self.hub.access.role(actor, doc), "write"):
            shape |= {flag: doc[flag] for flag in _OF_MERGES}
        if template and self.hub.access.sees(actor, template):
            shape["template_repository"] = self.repository(template, None)
        if owner["type"] == "Organization":
            shape |= {"organization": shape["owner"], "custom_properties": {}}
        return shape


_OF_MERGES = (
    "allow_squash_merge",
    "allow_merge_commit",
    "allow_rebase_merge",
    "allow_auto_merge",
    "delete_branch_on_merge",
)
