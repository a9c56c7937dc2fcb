"""Commits, branches, tags and what changed between two commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from server.twins.github.names import node_id
from server.twins.github.shapes.repositories import RepositoryShapes

if TYPE_CHECKING:
    from server.twins.github.git.diff import FileChange
    from server.twins.github.git.history import Comparison
    from server.twins.github.git.objects import Commit, Person

Doc = dict[str, Any]


def person(who: Person) -> Doc:
    return {"name": who.name, "email": who.email, "date": who.date}


def verification(commit: Commit) -> Doc:
    """The twin holds nobody's keys: it says so of a signature, and checks none."""
    return {
        "verified": False,
        "reason": "unknown_key" if commit.payload else "unsigned",
        "signature": commit.signature if commit.payload else None,
        "payload": commit.payload,
        "verified_at": None,
    }


class CommitShapes(RepositoryShapes):
    def commit(self, doc: Doc, commit: Commit) -> Doc:
        """`commit`, without what it changed."""
        url, git = f"{self.url(doc)}/commits/{commit.sha}", f"{self.url(doc)}/git"
        return {
            "sha": commit.sha,
            "node_id": node_id("Commit", doc["id"], commit.sha),
            "commit": {
                "author": person(commit.author),
                "committer": person(commit.committer),
                "message": commit.message,
                "tree": {"sha": commit.tree, "url": f"{git}/trees/{commit.tree}"},
                "url": f"{git}/commits/{commit.sha}",
                "comment_count": 0,
                "verification": verification(commit),
            },
            "url": url,
            "html_url": f"{self.home(doc)}/commit/{commit.sha}",
            "comments_url": f"{url}/comments",
            "author": self._account_of(commit.author),
            "committer": self._account_of(commit.committer),
            "parents": [self._parent(doc, sha) for sha in commit.parents],
        }

    def _account_of(self, who: Person) -> Doc | None:
        found = self.hub.accounts.by_email(who.email)
        return self.account(found) if found else None

    def _parent(self, doc: Doc, sha: str) -> Doc:
        return {
            "sha": sha,
            "url": f"{self.url(doc)}/commits/{sha}",
            "html_url": f"{self.home(doc)}/commit/{sha}",
        }

    def file_change(self, doc: Doc, sha: str, change: FileChange) -> Doc:
        """`diff-entry`, as of the commit `sha`."""
        path = quote(change.path)
        shape: Doc = {
            "sha": change.sha,
            "filename": change.path,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            "blob_url": f"{self.home(doc)}/blob/{sha}/{path}",
            "raw_url": f"{self.home(doc)}/raw/{sha}/{path}",
            "contents_url": f"{self.url(doc)}/contents/{path}?ref={sha}",
        }
        if change.patch is not None:
            shape["patch"] = change.patch
        if change.previous is not None:
            shape["previous_filename"] = change.previous
        return shape

    def comparison(self, doc: Doc, basehead: str, compared: Comparison) -> Doc:
        """`commit-comparison`, without its commits and files."""
        owner = self.hub.repositories.owner(doc)["login"]
        page = f"{self.home(doc)}/compare/{basehead}"
        exact = f"{owner}:{compared.base[:7]}...{owner}:{compared.head[:7]}"
        return {
            "url": f"{self.url(doc)}/compare/{basehead}",
            "html_url": page,
            "permalink_url": f"{self.home(doc)}/compare/{exact}",
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "status": compared.status,
            "ahead_by": compared.ahead,
            "behind_by": compared.behind,
            "total_commits": compared.ahead,
        }

    def branch(self, doc: Doc, name: str, sha: str) -> Doc:
        """`short-branch`."""
        return {"name": name, "commit": {"sha": sha, "url": f"{self.url(doc)}/commits/{sha}"}, "protected": False}

    def whole_branch(self, doc: Doc, name: str, commit: Commit) -> Doc:
        """`branch-with-protection`; none is protected here."""
        url = f"{self.url(doc)}/branches/{quote(name)}"
        nothing = {"enforcement_level": "off", "contexts": list[str](), "checks": list[str]()}
        return {
            "name": name,
            "commit": self.commit(doc, commit),
            "_links": {"self": url, "html": f"{self.home(doc)}/tree/{quote(name)}"},
            "protected": False,
            "protection": {"enabled": False, "required_status_checks": nothing},
            "protection_url": f"{url}/protection",
        }

    def tag(self, doc: Doc, name: str, sha: str) -> Doc:
        url = self.url(doc)
        return {
            "name": name,
            "zipball_url": f"{url}/zipball/refs/tags/{quote(name)}",
            "tarball_url": f"{url}/tarball/refs/tags/{quote(name)}",
            "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
            "node_id": node_id("Ref", doc["id"], f"refs/tags/{name}"),
        }
