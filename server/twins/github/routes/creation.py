"""Repositories made: for oneself, for an organisation, from a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.access import METADATA
from server.twins.github.call import made
from server.twins.github.fields import flag

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]


def routes(door: Door) -> list[BaseRoute]:
    page = "repos/repos"
    return [
        *door.on("POST /user/repos", create_own, f"{page}#create-a-repository-for-the-authenticated-user"),
        *door.on("POST /orgs/{org}/repos", create_in_organization, f"{page}#create-an-organization-repository"),
        *door.on(
            "POST /repos/{owner}/{repo}/generate", generate, f"{page}#create-a-repository-using-a-template", METADATA
        ),
    ]


async def create_own(call: Call) -> Response:
    actor = call.user()
    if not actor.has_scope("repo", "public_repo"):
        raise errors.not_found()
    if not actor.grants("administration", "write"):
        raise errors.not_accessible(actor.called)
    return _made(call, await call.hub.repositories.create(actor.account, await call.body()))


async def create_in_organization(call: Call) -> Response:
    organization = call.hub.accounts.get(call.path["org"], "Organization")
    _may_create(call, organization)
    doc = await call.hub.repositories.create(organization, await call.body())
    if call.known().installation:
        call.hub.installations.include(call.known(), doc)
    return _made(call, doc)


def _may_create(call: Call, owner: Doc) -> None:
    """Raises what one is told who may make no repositories for this owner."""
    actor = call.known()
    if actor.kind == "app" or not actor.grants("administration", "write"):
        raise errors.not_accessible(actor.called)
    if actor.installation:
        if actor.account["id"] != owner["id"]:
            raise errors.not_accessible(actor.called)
        return
    if actor.permissions is not None and actor.owner != owner["id"]:
        raise errors.not_accessible(actor.called)
    own = actor.account["id"] == owner["id"]
    if not own and not call.hub.accounts.membership(owner["id"], actor.account["id"]):
        raise errors.forbidden("You need admin access to the organization before adding a repository to it.")
    if not actor.has_scope("repo", "public_repo"):
        raise errors.not_found()


def _made(call: Call, doc: Doc) -> Response:
    shape = call.shapes.full_repository(doc, call.actor)
    return made(shape, shape["url"])


async def generate(call: Call) -> Response:
    template, body = call.repository, await call.body()
    if not template["is_template"]:
        raise errors.not_found()
    login = body.get("owner")
    owner = call.hub.accounts.get(str(login)) if login else call.known().account
    _may_create(call, owner)
    doc = await call.hub.templates.generate(template, owner, body)
    call.hub.later(call.hub.templates.fill(template, doc, all_branches=flag(body, "include_all_branches")))
    return _made(call, doc)
