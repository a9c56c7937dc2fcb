"""Branches. None is protected: rules for branches are not kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from server.twins.github import errors
from server.twins.github.access import ADMINISTER, READ, SEE_ADMINISTRATION, WRITE
from server.twins.github.call import Json, made
from server.twins.github.fields import text
from server.twins.github.git import objects

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

_BRANCHES = "/repos/{owner}/{repo}/branches"


def routes(door: Door) -> list[BaseRoute]:
    page = "branches/branches"
    return [
        *door.on(f"GET {_BRANCHES}", list_all, f"{page}#list-branches", READ),
        *door.on(
            f"GET {_BRANCHES}/{{branch:path}}/protection",
            protection,
            "branches/branch-protection#get-branch-protection",
            SEE_ADMINISTRATION,
        ),
        *door.on(f"POST {_BRANCHES}/{{branch:path}}/rename", rename, f"{page}#rename-a-branch", WRITE),
        *door.on(f"GET {_BRANCHES}/{{branch:path}}", get, f"{page}#get-a-branch", READ),
    ]


async def list_all(call: Call) -> Response:
    found = sorted((await call.git.branches()).items())
    if call.query("protected") == "true":
        found = []
    return call.listed(found, lambda pair: call.shapes.branch(call.repository, *pair))


async def get(call: Call) -> Response:
    name = call.path["branch"]
    return await _shown(call, name)


async def _shown(call: Call, name: str, status: int = 200) -> Response:
    sha = (await call.git.branches()).get(name)
    if sha is None:
        raise _moved(call, name) or errors.not_found("Branch not found")
    commit = await objects.commit(call.git, sha)
    assert commit is not None  # noqa: S101 - a branch names a commit
    shape = call.shapes.whole_branch(call.repository, name, commit)
    return Json(shape) if status == 200 else made(shape)  # noqa: PLR2004


def _moved(call: Call, name: str) -> errors.Refusal | None:
    """Where a renamed branch is to be found."""
    renamed = call.hub.records.get("renamed branch", f"{call.repository['id']}:{name}")
    if renamed is None:
        return None
    return errors.moved(f"{call.shapes.url(call.repository)}/branches/{quote(renamed['to'])}", changes=False)


async def rename(call: Call) -> Response:
    """Of the default branch, by an administrator only."""
    old, new = call.path["branch"], text(await call.body(), "new_name", needed=True)
    doc, git = call.repository, call.git
    branches = await git.branches()
    if old not in branches:
        raise errors.not_found("Branch not found")
    if old == doc["default_branch"]:
        call.hub.access.demand(call.actor, doc, ADMINISTER)
    if not await git.is_ref_name(f"refs/heads/{new}"):
        raise errors.unprocessable(f"'{new}' is not a valid branch name")
    if not await git.set_ref(f"refs/heads/{new}", branches[old], before="0" * 40):
        raise errors.unprocessable(f"Branch '{new}' already exists.")
    await git.delete_ref(f"refs/heads/{old}", before=branches[old])
    if old == doc["default_branch"]:
        await call.hub.changes.update(doc, {"default_branch": new})
    call.hub.records.put("renamed branch", f"{doc['id']}:{old}", {"to": new, "repository": doc["id"], "id": old})
    return await _shown(call, new, 201)


async def protection(call: Call) -> Response:
    if call.path["branch"] not in await call.git.branches():
        raise errors.not_found("Branch not found")
    raise errors.not_found("Branch not protected")
