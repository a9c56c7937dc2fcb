"""Files and folders read, and the README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from server.twins.github import errors
from server.twins.github.access import READ
from server.twins.github.call import Json
from server.twins.github.git import objects
from server.twins.github.shapes.contents import SYMLINK

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door
    from server.twins.github.git.objects import Entry

Doc = dict[str, Any]

_REPO = "/repos/{owner}/{repo}"
MOST_ENTRIES = 1000
"""Of a folder (GitHub docs, "Get repository content")."""
LARGEST_FILE = 100 * 2**20
_README = re.compile(r"readme(\.(md|markdown|mdown|mkdn|rst|txt|adoc|asciidoc|org|textile))?", re.IGNORECASE)
_README_FOLDERS = (".github", "", "docs")


def routes(door: Door) -> list[BaseRoute]:
    page = "repos/contents"
    return [
        *door.on(f"GET {_REPO}/contents", get, f"{page}#get-repository-content", READ),
        *door.on(f"GET {_REPO}/contents/{{path:path}}", get, f"{page}#get-repository-content", READ),
        *door.on(f"GET {_REPO}/readme", readme, f"{page}#get-a-repository-readme", READ),
        *door.on(
            f"GET {_REPO}/readme/{{dir:path}}", readme_in, f"{page}#get-a-repository-readme-for-a-directory", READ
        ),
    ]


async def get(call: Call) -> Response:
    path, ref = call.path.get("path", "").strip("/"), _ref(call)
    commit = await _commit(call, ref)
    entry = await objects.entry_at(call.git, commit, path) if path else None
    if path and entry is None:
        raise errors.not_found()
    if entry is None or entry.kind == "tree":
        return await _folder(call, f"{commit}:{path}", path, ref)
    return await _file(call, commit, entry, ref)


def _ref(call: Call) -> str:
    return call.query("ref") or call.repository["default_branch"]


async def _commit(call: Call, ref: str) -> str:
    if not await call.git.branches():
        raise errors.not_found("This repository is empty.")
    commit = await call.git.resolve(ref)
    if commit is None:
        raise errors.not_found(f"No commit found for the ref {ref}")
    return commit


async def _folder(call: Call, treeish: str, path: str, ref: str) -> Response:
    found = await objects.tree(call.git, treeish) or []
    under = f"{path}/" if path else ""
    entries = [objects.Entry(each.mode, each.kind, each.sha, each.size, under + each.path) for each in found]
    shapes = [call.shapes.entry(call.repository, each, ref) for each in entries[:MOST_ENTRIES]]
    if call.media != "object":
        return Json(shapes)
    sha = await call.git.run("rev-parse", treeish)
    itself = call.shapes.entry(call.repository, objects.Entry("040000", "tree", sha, None, path), ref)
    return Json({**itself, "entries": shapes})


async def _file(call: Call, commit: str, entry: Entry, ref: str) -> Response:
    """A link within the repository is answered with what it leads to."""
    doc = call.repository
    if entry.kind == "commit":
        return Json(call.shapes.submodule(doc, entry, ref))
    if call.media == "html":
        raise errors.unsupported_media_type(call.request.headers.get("accept", ""))
    if (entry.size or 0) > LARGEST_FILE:
        raise errors.Refusal(403, "This API returns blobs up to 100 MB in size.")
    content = await objects.blob(call.git, entry.sha) or b""
    if entry.mode == SYMLINK:
        target = await objects.entry_at(call.git, commit, _within(entry.path, content.decode(errors="replace")))
        if target is None or target.kind != "blob":
            return Json(call.shapes.symlink(doc, entry, ref, content))
        content = await objects.blob(call.git, target.sha) or b""
    if call.media == "raw":
        return Response(content, media_type="application/vnd.github.raw; charset=utf-8")
    return Json(call.shapes.file(doc, entry, ref, content))


def _within(path: str, target: str) -> str:
    """Where a link leads, as a path of the repository; nowhere, when it leads out of it."""
    parts = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return "\0"
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "\0" if target.startswith("/") or not parts else "/".join(parts)


async def readme(call: Call) -> Response:
    return await _readme(call, _README_FOLDERS)


async def readme_in(call: Call) -> Response:
    return await _readme(call, (call.path["dir"].strip("/"),))


async def _readme(call: Call, folders: tuple[str, ...]) -> Response:
    ref = _ref(call)
    commit = await _commit(call, ref)
    for folder in folders:
        for each in await objects.tree(call.git, f"{commit}:{folder}") or []:
            if each.kind == "blob" and _README.fullmatch(each.path):
                path = f"{folder}/{each.path}" if folder else each.path
                return await _file(call, commit, objects.Entry(each.mode, each.kind, each.sha, each.size, path), ref)
    raise errors.not_found()
