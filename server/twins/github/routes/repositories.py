"""Repositories: listed, got, changed, handed over, removed."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from server.twins.github.access import ADMINISTER, DELETE, METADATA
from server.twins.github.call import Json, nothing
from server.twins.github.fields import many
from server.twins.github.git.languages import languages as spoken

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]

_ONE = "/repos/{owner}/{repo}"
_SORTS = {"created": "created_at", "updated": "updated_at", "pushed": "pushed_at"}


def routes(door: Door) -> list[BaseRoute]:
    repos = "repos/repos"
    return [
        *door.on("GET /user/repos", list_own, f"{repos}#list-repositories-for-the-authenticated-user"),
        *door.on("GET /users/{username}/repos", list_of_user, f"{repos}#list-repositories-for-a-user"),
        *door.on("GET /orgs/{org}/repos", list_of_organization, f"{repos}#list-organization-repositories"),
        *door.on(f"GET {_ONE}", get, f"{repos}#get-a-repository", METADATA),
        *door.on(f"PATCH {_ONE}", update, f"{repos}#update-a-repository", METADATA, creates=False),
        *door.on(f"DELETE {_ONE}", delete, f"{repos}#delete-a-repository", DELETE),
        *door.on(f"POST {_ONE}/transfer", transfer, f"{repos}#transfer-a-repository", ADMINISTER),
        *door.on(f"GET {_ONE}/topics", topics, f"{repos}#get-all-repository-topics", METADATA),
        *door.on(f"PUT {_ONE}/topics", replace_topics, f"{repos}#replace-all-repository-topics", ADMINISTER),
        *door.on(f"GET {_ONE}/languages", languages, f"{repos}#list-repository-languages", METADATA),
        *door.on(f"GET {_ONE}/tags", tags, f"{repos}#list-repository-tags", METADATA),
    ]


# Lists


async def list_own(call: Call) -> Response:
    """Whatever the user owns, was invited to, or has through an organisation."""
    user = call.user().account
    hub, wanted = call.hub, call.query("affiliation", "owner,collaborator,organization_member").split(",")

    def affiliation(doc: Doc) -> str:
        if doc["owner_id"] == user["id"]:
            return "owner"
        member = hub.accounts.membership(doc["owner_id"], user["id"])
        return "organization_member" if member else "collaborator"

    mine = [doc for doc in hub.repositories.all() if hub.access.role_of(user, {**doc, "private": True}) != "none"]
    return _listed(call, [doc for doc in mine if affiliation(doc) in wanted], by="full_name")


async def list_of_user(call: Call) -> Response:
    user = call.hub.accounts.get(call.path["username"])
    public = [doc for doc in call.hub.repositories.of(user) if not doc["private"]]
    return _listed(call, public, by="full_name")


async def list_of_organization(call: Call) -> Response:
    organization = call.hub.accounts.get(call.path["org"], "Organization")
    return _listed(call, call.hub.repositories.of(organization), by="created")


def _listed(call: Call, docs: list[Doc], *, by: str) -> Response:
    kept = [doc for doc in call.hub.visible(call.actor, docs) if _matches(call, doc)]
    sort = call.query("sort", by)
    down = call.query("direction", "asc" if sort == "full_name" else "desc") == "desc"
    if sort == "full_name":
        kept.sort(key=lambda doc: call.hub.repositories.full_name(doc).lower(), reverse=down)
    else:
        kept.sort(key=lambda doc: doc[_SORTS.get(sort, "created_at")])  # among equals, the order they were made in
        kept = kept[::-1] if down else kept
    return call.listed(kept, lambda doc: call.shapes.repository(doc, call.actor))


def _matches(call: Call, doc: Doc) -> bool:
    wanted = call.query("visibility") or call.query("type")
    return not (wanted == "public" and doc["private"]) and not (wanted == "private" and not doc["private"])


# One repository


async def get(call: Call) -> Response:
    changed = datetime.fromisoformat(call.repository["updated_at"])
    headers = {"Last-Modified": format_datetime(changed, usegmt=True)}
    return Json(call.shapes.full_repository(call.repository, call.actor), headers=headers)


async def update(call: Call) -> Response:
    """An archived one takes no change but to be archived no more."""
    body = await call.body()
    doc = call.repository if body.get("archived") is not False else {**call.repository, "archived": False}
    call.hub.access.demand(call.actor, doc, ADMINISTER)
    new = await call.hub.changes.update(call.repository, body)
    return Json(call.shapes.full_repository(new, call.actor))


async def delete(call: Call) -> Response:
    await call.hub.delete(call.repository)
    return nothing()


async def transfer(call: Call) -> Response:
    """Answered before it is done: it is done once the new owner agrees."""
    actor, body = call.known(), await call.body()
    shape = call.shapes.repository(call.repository, actor)
    call.hub.transfers.start(call.repository, actor, body)
    return Json(shape, 202)


async def topics(call: Call) -> Response:
    return Json({"names": call.repository["topics"]})


async def replace_topics(call: Call) -> Response:
    names = many(await call.body(), "names", needed=True)
    return Json({"names": call.hub.changes.set_topics(call.repository, names)["topics"]})


async def languages(call: Call) -> Response:
    head = await call.git.resolve(call.repository["default_branch"])
    return Json(await spoken(call.git, head) if head else {})


async def tags(call: Call) -> Response:
    found = (await call.git.tags()).items()
    return call.listed([*found], lambda pair: call.shapes.tag(call.repository, *pair))
