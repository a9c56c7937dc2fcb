"""Files and folders of a commit."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from server.twins.github.names import node_id
from server.twins.github.shapes.commits import person, verification
from server.twins.github.shapes.repositories import RepositoryShapes

if TYPE_CHECKING:
    from server.twins.github.git.objects import Commit, Entry

Doc = dict[str, Any]

LARGEST_INLINE = 2**20
"""Bytes; a larger file's content is to be asked for as it is (GitHub docs, "Get repository content")."""

_TYPES = {"tree": "dir", "blob": "file", "commit": "submodule"}
SYMLINK = "120000"


def lined(content: bytes) -> str:
    """In base64, broken into lines of 60, as MIME once asked."""
    encoded = b64encode(content).decode()
    return "".join(encoded[at : at + 60] + "\n" for at in range(0, len(encoded), 60))


class ContentShapes(RepositoryShapes):
    def entry(self, doc: Doc, entry: Entry, ref: str) -> Doc:
        """A file or folder, without its content."""
        kind = _TYPES[entry.kind]
        path = quote(entry.path)
        url = f"{self.url(doc)}/contents/{path}?ref={quote(ref, safe='')}"
        html_url = f"{self.home(doc)}/{'tree' if kind == 'dir' else 'blob'}/{quote(ref)}/{path}"
        git_url = f"{self.url(doc)}/git/{'trees' if kind == 'dir' else 'blobs'}/{entry.sha}"
        links: dict[str, str | None] = {"self": url, "git": git_url, "html": html_url}
        if kind == "submodule":
            links |= {"git": None, "html": None}
        return {
            "name": entry.path.rpartition("/")[2],
            "path": entry.path,
            "sha": entry.sha,
            "size": entry.size or 0,
            "url": url,
            "html_url": links["html"],
            "git_url": links["git"],
            "download_url": self._download_url(doc, ref, entry.path) if kind == "file" else None,
            "type": "symlink" if entry.mode == SYMLINK else kind,
            "_links": links,
        }

    def _download_url(self, doc: Doc, ref: str, path: str) -> str:
        """A private file's link opens for a few minutes."""
        place = f"{self.named(doc)}/raw/{ref}/{path}"
        ticket = f"?token={self.hub.tickets.issue(place)}" if doc["private"] else ""
        return f"{self.base}/{quote(place)}{ticket}"

    def file(self, doc: Doc, entry: Entry, ref: str, content: bytes) -> Doc:
        shape = self.entry(doc, entry, ref)
        if len(content) > LARGEST_INLINE:
            return {**shape, "content": "", "encoding": "none"}
        return {**shape, "content": lined(content), "encoding": "base64"}

    def symlink(self, doc: Doc, entry: Entry, ref: str, target: bytes) -> Doc:
        return {**self.entry(doc, entry, ref), "type": "symlink", "target": target.decode(errors="replace")}

    def submodule(self, doc: Doc, entry: Entry, ref: str) -> Doc:
        return {**self.entry(doc, entry, ref), "submodule_git_url": None}

    def git_commit(self, doc: Doc, commit: Commit) -> Doc:
        """As git has it: no accounts, and nothing of what it changed."""
        git = f"{self.url(doc)}/git"
        home = self.home(doc)
        return {
            "sha": commit.sha,
            "node_id": node_id("Commit", doc["id"], commit.sha),
            "url": f"{git}/commits/{commit.sha}",
            "html_url": f"{home}/commit/{commit.sha}",
            "author": person(commit.author),
            "committer": person(commit.committer),
            "tree": {"sha": commit.tree, "url": f"{git}/trees/{commit.tree}"},
            "message": commit.message,
            "parents": [
                {"sha": sha, "url": f"{git}/commits/{sha}", "html_url": f"{home}/commit/{sha}"}
                for sha in commit.parents
            ],
            "verification": verification(commit),
        }
