"""Files written one at a time: each a commit of its own."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from server.twins.github import errors
from server.twins.github.access import WRITE
from server.twins.github.call import Json
from server.twins.github.fields import text
from server.twins.github.git import GitError, objects
from server.twins.github.git.edit import Change, changed_tree
from server.twins.github.git.objects import NewCommit, Person
from server.twins.github.git.repository import NOTHING
from server.twins.github.names import checked_path

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door
    from server.twins.github.git.objects import Commit, Entry

Doc = dict[str, Any]

_CONTENTS = "/repos/{owner}/{repo}/contents/{path:path}"
WORKFLOWS = ".github/workflows/"
LARGEST = 140 * 2**20
"""Bytes of a request: 100 MB of a file, in base64."""


def routes(door: Door) -> list[BaseRoute]:
    page = "repos/contents"
    return [
        *door.on(f"PUT {_CONTENTS}", put, f"{page}#create-or-update-file-contents", WRITE, largest=LARGEST),
        *door.on(f"DELETE {_CONTENTS}", delete, f"{page}#delete-a-file", WRITE),
    ]


@dataclass(frozen=True)
class Place:
    """Where a file shall change: `head` is the branch's commit, `before` what stands at the path now."""

    path: str
    branch: str
    head: str | None
    before: Entry | None


async def put(call: Call) -> Response:
    body = await call.body()
    content = decoded(text(body, "content", needed=True))
    place = await _place(call, body)
    if place.before is not None:
        if place.before.kind == "tree":
            raise errors.not_supplied("sha")
        _check_sha(place.path, place.before, text(body, "sha", needed=True))
    mode = place.before.mode if place.before else "100644"
    blob = await objects.write_blob(call.git, content)
    commit = await _commit(call, body, place, Change(place.path, mode, blob))
    entry = objects.Entry(mode, "blob", blob, len(content), place.path)
    shape = {
        "content": call.shapes.entry(call.repository, entry, place.branch),
        "commit": call.shapes.git_commit(call.repository, commit),
    }
    return Json(shape, 200 if place.before else 201)


async def delete(call: Call) -> Response:
    """Its facts may stand in the query, too: not every client sends a body with DELETE."""
    body = {**call.request.query_params, **await call.body()}
    place = await _place(call, body)
    if place.before is None or place.before.kind == "tree":
        raise errors.not_found()
    _check_sha(place.path, place.before, text(body, "sha", needed=True))
    commit = await _commit(call, body, place, Change(place.path, place.before.mode, None))
    return Json({"content": None, "commit": call.shapes.git_commit(call.repository, commit)})


def decoded(content: str) -> bytes:
    try:
        return b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.unprocessable("content is not valid Base64") from None


async def _place(call: Call, body: Doc) -> Place:
    path = checked_path(call.path["path"])
    text(body, "message", needed=True)
    branch = (text(body, "branch") or call.repository["default_branch"]).removeprefix("refs/heads/")
    refuse_workflows(call, path)
    branches = await call.git.branches()
    head = branches.get(branch)
    if head is None and (branches or branch != call.repository["default_branch"]):
        raise errors.not_found(f"Branch {branch} not found")
    return Place(path, branch, head, await objects.entry_at(call.git, head, path) if head else None)


def _check_sha(path: str, before: Entry, sha: str) -> None:
    if before.sha != sha:
        raise errors.conflict(f"{path} does not match {sha}")


async def _commit(call: Call, body: Doc, place: Place, change: Change) -> Commit:
    """Raises 409 where the branch has moved meanwhile."""
    git, before = call.git, place.head or NOTHING
    default = call.hub.repositories.person(call.author())
    committer = person_from(body.get("committer"), default) or default
    author = person_from(body.get("author"), committer) or committer
    parents = [place.head] if place.head else []
    try:
        tree = await changed_tree(git, place.head, [change])
        sha = await objects.write_commit(git, NewCommit(text(body, "message"), tree, parents, author, committer))
    except GitError:
        raise errors.unprocessable("path contains a malformed path component") from None
    if not await git.set_ref(f"refs/heads/{place.branch}", sha, before=before):
        latest = (await git.branches()).get(place.branch, NOTHING)
        raise errors.conflict(f"is at {latest} but expected {before}")
    await call.hub.changes.pushed(call.repository["id"])
    return cast("Commit", await objects.commit(git, sha))


def refuse_workflows(call: Call, path: str) -> None:
    """Raises for a path that needs a scope or permission of its own, which the caller has not."""
    actor = call.known()
    if path.startswith(WORKFLOWS) and not call.hub.access.may_touch_workflows(actor):
        raise errors.not_found() if actor.is_classic else errors.not_accessible(actor.called)


def person_from(said: Any, default: Person) -> Person | None:
    """A `{"name", "email", "date"}`; what is missing is as in `default`. None where nothing is said."""
    if said is None:
        return None
    if not isinstance(said, dict):
        raise errors.wrong_type("author", said, "an object")
    fields = cast("Doc", said)
    name, email = text(fields, "name", needed=True), text(fields, "email", needed=True)
    date = text(fields, "date")
    try:
        when = datetime.fromisoformat(date) if date else default.when
    except ValueError:
        raise errors.wrong_type("date", date, "a date-time") from None
    return Person(name, email, when if when.tzinfo else when.astimezone())
