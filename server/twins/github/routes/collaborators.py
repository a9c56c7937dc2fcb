"""Collaborators, and the invitations on both their sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.access import ADMINISTER, METADATA, PUSHERS, SEE_ADMINISTRATION
from server.twins.github.call import Json, made, nothing
from server.twins.github.fields import text

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]

_COLLABORATORS = "/repos/{owner}/{repo}/collaborators"
_INVITATIONS = "/repos/{owner}/{repo}/invitations"
_MINE = "/user/repository_invitations"


def routes(door: Door) -> list[BaseRoute]:
    people, invitations = "collaborators/collaborators", "collaborators/invitations"
    one, mine = f"{_COLLABORATORS}/{{username}}", f"{_MINE}/{{invitation_id:int}}"
    return [
        *door.on(f"GET {_COLLABORATORS}", list_all, f"{people}#list-repository-collaborators", METADATA),
        *door.on(f"GET {one}", has, f"{people}#check-if-a-user-is-a-repository-collaborator", PUSHERS),
        *door.on(f"GET {one}/permission", permission, f"{people}#get-repository-permissions-for-a-user", METADATA),
        *door.on(f"PUT {one}", add, f"{people}#add-a-repository-collaborator", ADMINISTER),
        *door.on(f"DELETE {one}", remove, f"{people}#remove-a-repository-collaborator", ADMINISTER),
        *door.on(f"GET {_INVITATIONS}", invited, f"{invitations}#list-repository-invitations", SEE_ADMINISTRATION),
        *door.on(
            f"PATCH {_INVITATIONS}/{{invitation_id:int}}",
            change,
            f"{invitations}#update-a-repository-invitation",
            ADMINISTER,
            creates=False,
        ),
        *door.on(
            f"DELETE {_INVITATIONS}/{{invitation_id:int}}",
            withdraw,
            f"{invitations}#delete-a-repository-invitation",
            ADMINISTER,
        ),
        *door.on(
            f"GET {_MINE}", my_invitations, f"{invitations}#list-repository-invitations-for-the-authenticated-user"
        ),
        *door.on(f"PATCH {mine}", accept, f"{invitations}#accept-a-repository-invitation", creates=False),
        *door.on(f"DELETE {mine}", decline, f"{invitations}#decline-a-repository-invitation"),
    ]


async def list_all(call: Call) -> Response:
    if not call.hub.access.may(call.actor, call.repository, PUSHERS):
        raise errors.forbidden("Must have push access to view repository collaborators.")
    found = call.hub.collaborators.all(call.repository, call.query("affiliation", "all"))
    return call.listed(found, lambda pair: call.shapes.collaborator(*pair))


async def has(call: Call) -> Response:
    user = call.hub.accounts.named(call.path["username"])
    if user is None or not call.hub.collaborators.has(call.repository, user):
        raise errors.not_found()
    return nothing()


async def permission(call: Call) -> Response:
    if not call.hub.access.may(call.actor, call.repository, PUSHERS):
        raise errors.forbidden("Must have push access to view collaborator permission.")
    user = call.hub.accounts.named(call.path["username"])
    if user is None:
        raise errors.not_found(f"{call.path['username']} is not a user")
    return Json(call.shapes.permission(user, call.hub.access.role_of(user, call.repository)))


async def add(call: Call) -> Response:
    body, actor = await call.body(), call.known()
    user = call.hub.accounts.get(call.path["username"])
    inviter = actor.account if actor.is_user else call.hub.app_owner
    invitation = call.hub.collaborators.invite(call.repository, user, body.get("permission"), inviter)
    return made(call.shapes.invitation(invitation)) if invitation else nothing()


async def remove(call: Call) -> Response:
    user = call.hub.accounts.get(call.path["username"])
    if user["id"] == call.repository["owner_id"]:
        raise errors.forbidden("Repository owner cannot be removed.")
    call.hub.collaborators.remove(call.repository, user)
    return nothing()


# Invitations, as the repository's administrators see them


async def invited(call: Call) -> Response:
    return call.listed(call.hub.collaborators.invitations(call.repository), call.shapes.invitation)


def _of_repository(call: Call) -> Doc:
    found = call.hub.collaborators.invitation(call.path["invitation_id"])
    if found["repository"] != call.repository["id"]:
        raise errors.not_found()
    return found


async def change(call: Call) -> Response:
    role = text(await call.body(), "permissions", needed=True)
    return Json(call.shapes.invitation(call.hub.collaborators.change(_of_repository(call), role)))


async def withdraw(call: Call) -> Response:
    call.hub.collaborators.withdraw(_of_repository(call))
    return nothing()


# Invitations, as the one invited sees them


async def my_invitations(call: Call) -> Response:
    return call.listed(call.hub.collaborators.invitations_to(call.user().account), call.shapes.invitation)


def _mine(call: Call) -> Doc:
    user = call.user().account
    found = call.hub.collaborators.invitation(call.path["invitation_id"])
    if found["invitee"] != user["id"]:
        raise errors.not_found()
    return found


async def accept(call: Call) -> Response:
    found = _mine(call)
    repository = call.hub.repositories.by_id(found["repository"])
    if repository is None:
        raise errors.not_found()
    call.hub.collaborators.accept(found, repository)
    return nothing()


async def decline(call: Call) -> Response:
    call.hub.collaborators.withdraw(_mine(call))
    return nothing()
