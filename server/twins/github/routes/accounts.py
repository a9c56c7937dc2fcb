"""Users, organisations and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.accounts import PROFILE
from server.twins.github.call import Json, nothing
from server.twins.github.fields import flag, text

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]


def routes(door: Door) -> list[BaseRoute]:
    users, orgs = "users/users", "orgs/orgs"
    return [
        *door.on("GET /user", own, f"{users}#get-the-authenticated-user"),
        *door.on("PATCH /user", change_own, f"{users}#update-the-authenticated-user", creates=False),
        *door.on("GET /user/orgs", own_organizations, f"{orgs}#list-organizations-for-the-authenticated-user"),
        *door.on(
            "GET /user/memberships/orgs",
            own_memberships,
            "orgs/members#list-organization-memberships-for-the-authenticated-user",
        ),
        *door.on("GET /user/{account_id:int}", by_id, f"{users}#get-a-user-using-their-id"),
        *door.on("GET /users/{username}", user, ""),
        *door.on("GET /users/{username}/orgs", organizations, f"{orgs}#list-organizations-for-a-user"),
        *door.on("GET /orgs/{org}", organization, f"{orgs}#get-an-organization"),
        *door.on("GET /orgs/{org}/members", members, "orgs/members#list-organization-members"),
        *door.on(
            "GET /orgs/{org}/members/{username}",
            is_member,
            "orgs/members#check-organization-membership-for-a-user",
        ),
        *door.on(
            "GET /orgs/{org}/memberships/{username}",
            membership,
            "orgs/members#get-organization-membership-for-a-user",
        ),
    ]


async def own(call: Call) -> Response:
    return Json(call.shapes.own_profile(call.user().account))


async def change_own(call: Call) -> Response:
    body = await call.body()
    texts: Doc = {field: text(body, field) for field in PROFILE if field in body and field != "hireable"}
    if "hireable" in body:
        texts["hireable"] = flag(body, "hireable")
    return Json(call.shapes.own_profile(call.hub.accounts.change(call.user().account, texts)))


async def own_organizations(call: Call) -> Response:
    found = [organization for organization, _ in call.hub.accounts.organizations(call.user().account)]
    return call.listed(found, call.shapes.organization)


async def own_memberships(call: Call) -> Response:
    user = call.user().account
    held = call.hub.accounts.organizations(user)
    return call.listed(held, lambda pair: call.shapes.membership(pair[0], user, pair[1]))


async def by_id(call: Call) -> Response:
    return Json(call.shapes.profile(call.hub.accounts.by_id(call.path["account_id"])))


async def user(call: Call) -> Response:
    return Json(call.shapes.profile(call.hub.accounts.get(call.path["username"])))


async def organizations(call: Call) -> Response:
    account = call.hub.accounts.get(call.path["username"], "User")
    return call.listed([each for each, _ in call.hub.accounts.organizations(account)], call.shapes.organization)


async def organization(call: Call) -> Response:
    found = call.hub.accounts.get(call.path["org"], "Organization")
    return Json(call.shapes.whole_organization(found, to_member=_belongs(call, found)))


async def members(call: Call) -> Response:
    found = call.hub.accounts.get(call.path["org"], "Organization")
    role = call.query("role", "all")
    listed = [each for each, has in call.hub.accounts.members(found) if role in ("all", has)]
    return call.listed(listed if _belongs(call, found) else [], call.shapes.account)


async def is_member(call: Call) -> Response:
    found = call.hub.accounts.get(call.path["org"], "Organization")
    asked = call.hub.accounts.get(call.path["username"], "User")
    if not _belongs(call, found) or not call.hub.accounts.membership(found["id"], asked["id"]):
        raise errors.not_found("User does not exist or is not a member of the organization")
    return nothing()


async def membership(call: Call) -> Response:
    found = call.hub.accounts.get(call.path["org"], "Organization")
    asked = call.hub.accounts.get(call.path["username"], "User")
    if not _belongs(call, found):
        raise errors.forbidden("You must be a member of the organization to see its memberships.")
    role = call.hub.accounts.membership(found["id"], asked["id"])
    if role is None:
        raise errors.not_found()
    return Json(call.shapes.membership(found, asked, role))


def _belongs(call: Call, found: Doc) -> bool:
    """Whether the caller is a member, or an App that may read the members."""
    actor = call.actor
    if actor is None or actor.kind == "app":
        return False
    if actor.installation:
        return actor.account["id"] == found["id"] and actor.grants("members", "read")
    return call.hub.accounts.membership(found["id"], actor.account["id"]) is not None
