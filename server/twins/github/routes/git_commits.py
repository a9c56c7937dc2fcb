"""Commits and annotated tags of the git database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.github import errors
from server.twins.github.access import READ, WRITE
from server.twins.github.call import Json, made
from server.twins.github.fields import many, text
from server.twins.github.git import GitError, objects
from server.twins.github.git.objects import NewCommit, Tag
from server.twins.github.routes.files import person_from

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

_GIT = "/repos/{owner}/{repo}/git"


def routes(door: Door) -> list[BaseRoute]:
    return [
        *door.on(f"POST {_GIT}/commits", create_commit, "git/commits#create-a-commit", WRITE),
        *door.on(f"GET {_GIT}/commits/{{commit_sha}}", get_commit, "git/commits#get-a-commit-object", READ),
        *door.on(f"POST {_GIT}/tags", create_tag, "git/tags#create-a-tag-object", WRITE),
        *door.on(f"GET {_GIT}/tags/{{tag_sha}}", get_tag, "git/tags#get-a-tag", READ),
    ]


async def create_commit(call: Call) -> Response:
    body = await call.body()
    await call.refuse_empty()
    git, message = call.git, text(body, "message", needed=True)
    tree, parents = text(body, "tree", needed=True), [str(each) for each in many(body, "parents")]
    if await objects.kind_of(git, tree) != "tree":
        raise errors.unprocessable("Tree SHA does not exist")
    for parent in parents:
        if await objects.kind_of(git, parent) != "commit":
            raise errors.unprocessable("Parent SHA does not exist or is not a commit object")
    default = call.hub.repositories.person(call.author())
    author = person_from(body.get("author"), default) or default
    committer = person_from(body.get("committer"), author) or author
    new = NewCommit(message, tree, parents, author, committer, text(body, "signature"))
    try:
        sha = await objects.write_commit(git, new)
    except GitError:
        raise errors.unprocessable("Commit is not well-formed") from None
    return await _commit(call, sha, 201)


async def get_commit(call: Call) -> Response:
    await call.refuse_empty()
    return await _commit(call, call.path["commit_sha"], 200)


async def _commit(call: Call, sha: str, status: int) -> Response:
    commit = await objects.commit(call.git, sha)
    if commit is None:
        raise errors.not_found()
    shape = call.shapes.git_commit(call.repository, commit)
    return made(shape, shape["url"]) if status == 201 else Json(shape)  # noqa: PLR2004


# Tags


async def create_tag(call: Call) -> Response:
    """The object alone: a ref to it is made by another call."""
    body = await call.body()
    await call.refuse_empty()
    name, message, target = (text(body, field, needed=True) for field in ("tag", "message", "object"))
    kind = text(body, "type", needed=True)
    if await objects.kind_of(call.git, target) != kind:
        raise errors.unprocessable("Object does not exist")
    default = call.hub.repositories.person(call.author())
    tagger = person_from(body.get("tagger"), default) or default
    try:
        sha = await objects.write_tag(call.git, Tag("", name, target, kind, tagger, message))
    except GitError:
        raise errors.unprocessable("Tag name is not well-formed") from None
    return await _tag(call, sha, 201)


async def get_tag(call: Call) -> Response:
    await call.refuse_empty()
    return await _tag(call, call.path["tag_sha"], 200)


async def _tag(call: Call, sha: str, status: int) -> Response:
    found = await objects.tag(call.git, sha)
    if found is None:
        raise errors.not_found()
    shape = call.shapes.git_tag(call.repository, found)
    return made(shape, shape["url"]) if status == 201 else Json(shape)  # noqa: PLR2004
