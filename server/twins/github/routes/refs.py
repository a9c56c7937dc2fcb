"""Refs: got, made, moved, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.access import READ, WRITE
from server.twins.github.call import Json, made, nothing
from server.twins.github.fields import flag, text
from server.twins.github.git import history, objects
from server.twins.github.git.repository import NOTHING, Ref

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]

_GIT = "/repos/{owner}/{repo}/git"
SHORTEST = 3
"""Parts of a ref's name: `refs/heads/main`."""


def routes(door: Door) -> list[BaseRoute]:
    page = "git/refs"
    return [
        *door.on(f"GET {_GIT}/ref/{{ref:path}}", get, f"{page}#get-a-reference", READ),
        *door.on(f"GET {_GIT}/matching-refs", matching, f"{page}#list-matching-references", READ),
        *door.on(f"GET {_GIT}/matching-refs/{{ref:path}}", matching, f"{page}#list-matching-references", READ),
        *door.on(f"GET {_GIT}/refs", matching, f"{page}#list-matching-references", READ),
        *door.on(f"GET {_GIT}/refs/{{ref:path}}", get, f"{page}#get-a-reference", READ),
        *door.on(f"POST {_GIT}/refs", create, f"{page}#create-a-reference", WRITE),
        *door.on(f"PATCH {_GIT}/refs/{{ref:path}}", update, f"{page}#update-a-reference", WRITE, creates=False),
        *door.on(f"DELETE {_GIT}/refs/{{ref:path}}", delete, f"{page}#delete-a-reference", WRITE),
    ]


async def get(call: Call) -> Response:
    await call.refuse_empty()
    found = await call.git.ref(f"refs/{call.path['ref']}")
    if found is None:
        raise errors.not_found()
    return Json(call.shapes.ref(call.repository, found))


async def matching(call: Call) -> Response:
    """Those whose names begin so."""
    await call.refuse_empty()
    wanted = f"refs/{call.path.get('ref', '')}"
    found = [ref for ref in await call.git.refs() if ref.name.startswith(wanted)]
    return call.listed(found, lambda ref: call.shapes.ref(call.repository, ref))


async def create(call: Call) -> Response:
    body = await call.body()
    name, sha = text(body, "ref", needed=True), text(body, "sha", needed=True)
    await call.refuse_empty()
    if not name.startswith("refs/") or len(name.split("/")) < SHORTEST:
        raise errors.unprocessable(
            "Reference name must start with 'refs' and have at least two slashes: 'refs/heads/my-branch'."
        )
    if not await call.git.is_ref_name(name):
        raise errors.unprocessable(f"{name} is not a valid ref name.")
    kind = await _named(call, name, sha)
    if not await call.git.set_ref(name, sha, before=NOTHING):
        raise errors.unprocessable("Reference already exists")
    await call.hub.changes.pushed(call.repository["id"])
    shape = call.shapes.ref(call.repository, Ref(name, sha, kind))
    return made(shape, shape["url"])


async def _named(call: Call, name: str, sha: str) -> str:
    """The kind of the object a ref shall name; a branch names commits only."""
    kind = await objects.kind_of(call.git, sha)
    if kind is None or (name.startswith("refs/heads/") and kind != "commit"):
        raise errors.unprocessable("Object does not exist")
    return kind


async def update(call: Call) -> Response:
    body, name = await call.body(), f"refs/{call.path['ref']}"
    sha, force = text(body, "sha", needed=True), flag(body, "force")
    await call.refuse_empty()
    before = await call.git.ref(name)
    if before is None:
        raise errors.unprocessable("Reference does not exist")
    kind = await _named(call, name, sha)
    if not force and not await history.is_ancestor(call.git, before.sha, sha):
        raise errors.unprocessable("Update is not a fast forward")
    if not await call.git.set_ref(name, sha, before=before.sha):
        raise errors.conflict("Reference cannot be updated")
    await call.hub.changes.pushed(call.repository["id"])
    return Json(call.shapes.ref(call.repository, Ref(name, sha, kind)))


async def delete(call: Call) -> Response:
    name = f"refs/{call.path['ref']}"
    found = await call.git.ref(name)
    if found is None:
        raise errors.unprocessable("Reference does not exist")
    if name == f"refs/heads/{call.repository['default_branch']}":
        raise errors.unprocessable("Cannot delete the default branch")
    if not await call.git.delete_ref(name, before=found.sha):
        raise errors.conflict("Reference cannot be deleted")
    return nothing()
