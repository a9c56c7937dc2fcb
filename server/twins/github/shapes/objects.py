"""The git database: blobs, trees, commits, tags and refs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github.names import node_id
from server.twins.github.shapes.commits import person
from server.twins.github.shapes.contents import ContentShapes, lined

if TYPE_CHECKING:
    from server.twins.github.git.objects import Entry, Tag
    from server.twins.github.git.repository import Ref

Doc = dict[str, Any]

_PLACES = {"blob": "blobs", "tree": "trees", "commit": "commits", "tag": "tags"}


class ObjectShapes(ContentShapes):
    def object_url(self, doc: Doc, kind: str, sha: str) -> str:
        return f"{self.url(doc)}/git/{_PLACES[kind]}/{sha}"

    def blob(self, doc: Doc, sha: str, content: bytes) -> Doc:
        return {
            "sha": sha,
            "node_id": node_id("Blob", doc["id"], sha),
            "size": len(content),
            "url": self.object_url(doc, "blob", sha),
            "content": lined(content),
            "encoding": "base64",
        }

    def tree(self, doc: Doc, sha: str, entries: list[Entry], *, truncated: bool = False) -> Doc:
        return {
            "sha": sha,
            "url": self.object_url(doc, "tree", sha),
            "tree": [self._tree_entry(doc, entry) for entry in entries],
            "truncated": truncated,
        }

    def _tree_entry(self, doc: Doc, entry: Entry) -> Doc:
        shape: Doc = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.size is not None:
            shape["size"] = entry.size
        if entry.kind != "commit":  # a submodule's commit is not here
            shape["url"] = self.object_url(doc, entry.kind, entry.sha)
        return shape

    def git_tag(self, doc: Doc, tag: Tag) -> Doc:
        named = {"sha": tag.object, "type": tag.kind, "url": self.object_url(doc, tag.kind, tag.object)}
        unsigned = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
        return {
            "node_id": node_id("Tag", doc["id"], tag.sha),
            "sha": tag.sha,
            "url": self.object_url(doc, "tag", tag.sha),
            "tagger": person(tag.tagger),
            "object": named,
            "tag": tag.name,
            "message": tag.message,
            "verification": unsigned,
        }

    def ref(self, doc: Doc, ref: Ref) -> Doc:
        return {
            "ref": ref.name,
            "node_id": node_id("Ref", doc["id"], ref.name),
            "url": f"{self.url(doc)}/git/{ref.name}",
            "object": {"sha": ref.sha, "type": ref.kind, "url": self.object_url(doc, ref.kind, ref.sha)},
        }
