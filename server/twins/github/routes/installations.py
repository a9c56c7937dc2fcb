"""What an installation of the GitHub App reaches, as it sees that itself and as the people it is installed for do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.call import nothing

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]

_MINE = "/user/installations"
_ITS = f"{_MINE}/{{installation_id:int}}/repositories"


def routes(door: Door) -> list[BaseRoute]:
    page = "apps/installations"
    return [
        *door.on("DELETE /installation/token", revoke, f"{page}#revoke-an-installation-access-token"),
        *door.on(
            "GET /installation/repositories",
            repositories,
            f"{page}#list-repositories-accessible-to-the-app-installation",
        ),
        *door.on(f"GET {_MINE}", mine, f"{page}#list-app-installations-accessible-to-the-user-access-token"),
        *door.on(f"GET {_ITS}", its_repositories, f"{page}#list-repositories-accessible-to-the-user-access-token"),
        *door.on(f"PUT {_ITS}/{{repository_id:int}}", add, f"{page}#add-a-repository-to-an-app-installation"),
        *door.on(
            f"DELETE {_ITS}/{{repository_id:int}}", remove, f"{page}#remove-a-repository-from-an-app-installation"
        ),
    ]


# As an installation


async def revoke(call: Call) -> Response:
    call.hub.tokens.revoke(call.installation().token)
    return nothing()


async def repositories(call: Call) -> Response:
    actor = call.installation()
    within = call.hub.installations.repositories(call.hub.installations.of(actor))
    reached = [doc for doc in within if actor.reaches(doc)]
    selection = "all" if actor.repositories is None else "selected"
    return call.listed(
        reached, lambda doc: call.shapes.repository(doc, actor), "repositories", repository_selection=selection
    )


# As a user


def _administered(call: Call) -> list[Doc]:
    """The installations on accounts that are the user's own."""
    user, hub = call.user().account, call.hub
    own = [user["id"], *(each["id"] for each, role in hub.accounts.organizations(user) if role == "admin")]
    return [each for each in hub.installations.all() if each["account"] in own]


async def mine(call: Call) -> Response:
    return call.listed(_administered(call), call.shapes.installation, "installations")


def _one_of_mine(call: Call) -> Doc:
    wanted = call.path["installation_id"]
    found = next((each for each in _administered(call) if each["id"] == wanted), None)
    if found is None:
        raise errors.not_found()
    return found


async def its_repositories(call: Call) -> Response:
    within = call.hub.installations.repositories(_one_of_mine(call))
    return call.listed(within, lambda doc: call.shapes.repository(doc, call.actor), "repositories")


async def add(call: Call) -> Response:
    return _select(call, present=True)


async def remove(call: Call) -> Response:
    return _select(call, present=False)


def _select(call: Call, *, present: bool) -> Response:
    """An installation on all repositories has none to add or remove."""
    installation = _one_of_mine(call)
    doc = call.hub.by_id(call.path["repository_id"], call.actor)
    if installation["repositories"] is None or doc["owner_id"] != installation["account"]:
        raise errors.unprocessable("The repository cannot be added to or removed from this installation.")
    others = [each for each in installation["repositories"] if each != doc["id"]]
    call.hub.installations.change(installation, repositories=[*others, doc["id"]] if present else others)
    return nothing()
