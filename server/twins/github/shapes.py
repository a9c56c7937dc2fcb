"""Owners, repositories, commits and files as GitHub sends them (REST description, `full-repository` and others)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from server.twins.github.fields import FLAGS
from server.twins.github.state import ORGANIZATION, full_name

if TYPE_CHECKING:
    from server.twins.github.git import Commit, Entry, Person

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
_REPOSITORY_LINKS = {
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
_NONE_YET = ("forks", "forks_count", "network_count", "open_issues", "open_issues_count", "stargazers_count")


class Shapes:
    """Wire forms, all links under the twin's own address."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url

    def owner(self, login: str, owner_id: int) -> Doc:
        url = f"{self._base}/users/{login}"
        kind = "Organization" if login == ORGANIZATION else "User"
        return {
            "login": login,
            "id": owner_id,
            "node_id": _node(kind, owner_id),
            "avatar_url": f"{self._base}/avatars/{owner_id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self._base}/{login}",
            **{name: url + path for name, path in _USER_LINKS.items()},
            "type": kind,
            "site_admin": False,
        }

    def user(self, login: str, owner_id: int, repositories: list[Doc]) -> Doc:
        """The caller's own profile."""
        private = sum(each["private"] for each in repositories)
        nothing = ("name", "company", "location", "email", "hireable", "bio")
        return {
            **self.owner(login, owner_id),
            **dict.fromkeys(nothing),
            "blog": "",
            "public_repos": len(repositories) - private,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "private_gists": 0,
            "total_private_repos": private,
            "owned_private_repos": private,
            "disk_usage": 0,
            "collaborators": 0,
            "two_factor_authentication": True,
        }

    def repository(self, doc: Doc, owner_id: int, *, may_push: bool) -> Doc:
        name = full_name(doc)
        url = f"{self._base}/repos/{name}"
        home = f"{self._base}/{name}"
        owner = self.owner(doc["owner"], owner_id)
        copied = ("id", "name", "private", "description", "homepage", "archived", "default_branch")
        times = ("created_at", "updated_at", "pushed_at")
        shape: Doc = {
            **{field: doc[field] for field in (*copied, *times, *FLAGS)},
            **{link: url + path for link, path in _REPOSITORY_LINKS.items()},
            **dict.fromkeys(_NONE_YET, 0),
            **dict.fromkeys(("language", "license", "mirror_url")),
            "node_id": _node("Repository", doc["id"]),
            "full_name": name,
            "owner": owner,
            "url": url,
            "html_url": home,
            "clone_url": f"{home}.git",
            "git_url": f"git:{home.partition(':')[2]}.git",
            "ssh_url": f"git@localhost:{name}.git",
            "svn_url": home,
            "visibility": "private" if doc["private"] else "public",
            "fork": False,
            "disabled": False,
            "has_pages": False,
            "has_downloads": True,
            "size": 0,
            "watchers": 0,
            "watchers_count": 0,
            "subscribers_count": 0,
            "topics": [],
            "allow_forking": True,
            "web_commit_signoff_required": False,
            "permissions": {"admin": may_push, "maintain": may_push, "push": may_push, "triage": True, "pull": True},
        }
        return {**shape, "organization": owner} if owner["type"] == "Organization" else shape

    def commit(self, doc: Doc, commit: Commit) -> Doc:
        name = full_name(doc)
        url = f"{self._base}/repos/{name}/commits/{commit.sha}"
        git = f"{self._base}/repos/{name}/git"
        return {
            "sha": commit.sha,
            "node_id": _node("Commit", commit.sha),
            "commit": {
                "author": _person(commit.author),
                "committer": _person(commit.committer),
                "message": commit.message,
                "tree": {"sha": commit.tree, "url": f"{git}/trees/{commit.tree}"},
                "url": f"{git}/commits/{commit.sha}",
                "comment_count": 0,
                "verification": {
                    "verified": False,
                    "reason": "unsigned",
                    "signature": None,
                    "payload": None,
                    "verified_at": None,
                },
            },
            "url": url,
            "html_url": f"{self._base}/{name}/commit/{commit.sha}",
            "comments_url": f"{url}/comments",
            "author": None,  # whom an address belongs to is known on github.com only
            "committer": None,
            "parents": [
                {
                    "sha": parent,
                    "url": f"{self._base}/repos/{name}/commits/{parent}",
                    "html_url": f"{self._base}/{name}/commit/{parent}",
                }
                for parent in commit.parents
            ],
        }

    def branch(self, doc: Doc, name: str, sha: str) -> Doc:
        url = f"{self._base}/repos/{full_name(doc)}/commits/{sha}"
        return {"name": name, "commit": {"sha": sha, "url": url}, "protected": False}

    def entry(self, doc: Doc, entry: Entry, ref: str) -> Doc:
        """A file or folder, without its content."""
        name = full_name(doc)
        url = f"{self._base}/repos/{name}/contents/{entry.path}?ref={ref}"
        folder = entry.kind == "tree"
        git_url = f"{self._base}/repos/{name}/git/{'trees' if folder else 'blobs'}/{entry.sha}"
        html_url = f"{self._base}/{name}/{'tree' if folder else 'blob'}/{ref}/{entry.path}"
        return {
            "name": entry.path.rpartition("/")[2],
            "path": entry.path,
            "sha": entry.sha,
            "size": entry.size or 0,
            "url": url,
            "html_url": html_url,
            "git_url": git_url,
            "download_url": None if folder else f"{self._base}/{name}/raw/{ref}/{entry.path}",
            "type": "dir" if folder else "file",
            "_links": {"self": url, "git": git_url, "html": html_url},
        }

    def file(self, doc: Doc, entry: Entry, ref: str, content: bytes) -> Doc:
        # GitHub breaks base64 into lines of 60, as MIME once asked.
        encoded = b64encode(content).decode()
        lines = [encoded[at : at + 60] + "\n" for at in range(0, len(encoded), 60)]
        return {**self.entry(doc, entry, ref), "content": "".join(lines), "encoding": "base64"}


def _person(person: Person) -> Doc:
    return {"name": person.name, "email": person.email, "date": person.date}


def _node(kind: str, identity: int | str) -> str:
    return b64encode(f"0{len(kind)}:{kind}{identity}".encode()).decode()
