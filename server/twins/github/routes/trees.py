"""Trees of the git database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from server.twins.github import errors
from server.twins.github.access import READ, WRITE
from server.twins.github.call import Json, made
from server.twins.github.fields import many, text
from server.twins.github.git import GitError, objects
from server.twins.github.git.edit import FOLDER, Change, NoSuchPath, changed_tree
from server.twins.github.names import checked_path
from server.twins.github.routes.files import LARGEST, refuse_workflows

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]

_TREES = "/repos/{owner}/{repo}/git/trees"
_MODES = {"100644": "blob", "100755": "blob", "120000": "blob", FOLDER: "tree", "160000": "commit"}
MOST_ENTRIES = 100_000
"""Of a tree got with all below it (GitHub docs, "Get a tree")."""


def routes(door: Door) -> list[BaseRoute]:
    return [
        *door.on(f"POST {_TREES}", create_tree, "git/trees#create-a-tree", WRITE, largest=LARGEST),
        *door.on(f"GET {_TREES}/{{tree_sha:path}}", get_tree, "git/trees#get-a-tree", READ),
    ]


async def create_tree(call: Call) -> Response:
    body = await call.body()
    await call.refuse_empty()
    entries, base = many(body, "tree", needed=True), text(body, "base_tree")
    if base and await objects.kind_of(call.git, base) not in ("tree", "commit"):
        raise errors.not_found()
    changes = [await _change(call, entry) for entry in entries]
    try:
        sha = await changed_tree(call.git, base, changes)
    except (GitError, NoSuchPath):
        raise errors.unprocessable("GitRPC::BadObjectState") from None
    url = call.shapes.object_url(call.repository, "tree", sha)
    return made(call.shapes.tree(call.repository, sha, await objects.tree(call.git, sha) or []), url)


async def _change(call: Call, entry: Any) -> Change:
    if not isinstance(entry, dict):
        raise errors.unprocessable("Invalid tree info")
    said = cast("Doc", entry)
    path, mode = checked_path(text(said, "path", needed=True), "tree.path"), str(said.get("mode", ""))
    if mode not in _MODES:
        raise errors.unprocessable("Must supply a valid tree.mode")
    refuse_workflows(call, path)
    if "content" in said and said.get("sha"):
        raise errors.unprocessable("Must supply either tree.sha or tree.content, not both")
    if "content" in said:
        return Change(path, mode, await objects.write_blob(call.git, str(said["content"]).encode()))
    if "sha" not in said:
        raise errors.unprocessable("Must supply tree.sha or tree.content")
    sha = text(said, "sha")
    kind = _MODES[mode]
    if sha is not None and kind != "commit" and await objects.kind_of(call.git, sha) != kind:
        raise errors.unprocessable(f"tree.sha {sha} is not a valid {kind}")
    return Change(path, mode, sha)


async def get_tree(call: Call) -> Response:
    await call.refuse_empty()
    sha = await call.git.resolve(call.path["tree_sha"], "tree")
    if sha is None:
        raise errors.not_found()
    found = await objects.tree(call.git, sha, recursive="recursive" in call.request.query_params) or []
    shape = call.shapes.tree(call.repository, sha, found[:MOST_ENTRIES], truncated=len(found) > MOST_ENTRIES)
    return Json(shape)
