"""What the GitHub App itself may ask: what it is, where it is installed, and tokens for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.call import Json, made, nothing

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

Doc = dict[str, Any]

_ONE = "/app/installations/{installation_id:int}"


def routes(door: Door) -> list[BaseRoute]:
    apps = "apps/apps"
    for_app = "installation-for-the-authenticated-app"
    return [
        *door.on("GET /app", get_app, f"{apps}#get-the-authenticated-app"),
        *door.on("GET /apps/{app_slug}", public_app, f"{apps}#get-an-app"),
        *door.on("GET /app/installations", list_all, f"{apps}#list-installations-for-the-authenticated-app"),
        *door.on(f"GET {_ONE}", get, f"{apps}#get-an-{for_app}"),
        *door.on(f"DELETE {_ONE}", delete, f"{apps}#delete-an-{for_app}"),
        *door.on(f"PUT {_ONE}/suspended", suspend, f"{apps}#suspend-an-app-installation", creates=False),
        *door.on(f"DELETE {_ONE}/suspended", unsuspend, f"{apps}#unsuspend-an-app-installation"),
        *door.on(
            f"POST {_ONE}/access_tokens", token, f"{apps}#create-an-installation-access-token-for-an-app", creates=False
        ),
        *door.on("GET /orgs/{account}/installation", on_account, f"{apps}#get-an-organization-{for_app}"),
        *door.on("GET /users/{account}/installation", on_account, f"{apps}#get-a-user-{for_app}"),
        *door.on("GET /repos/{owner}/{repo}/installation", on_repository, f"{apps}#get-a-repository-{for_app}"),
    ]


# As the App


async def get_app(call: Call) -> Response:
    call.app()
    return Json(call.shapes.app())


async def public_app(call: Call) -> Response:
    if call.path["app_slug"] != call.hub.key.slug:
        raise errors.not_found()
    return Json(call.shapes.app())


async def list_all(call: Call) -> Response:
    call.app()
    return call.listed(call.hub.installations.all(), call.shapes.installation)


def _asked(call: Call) -> Doc:
    call.app()
    return call.hub.installations.get(call.path["installation_id"])


async def get(call: Call) -> Response:
    return Json(call.shapes.installation(_asked(call)))


async def delete(call: Call) -> Response:
    call.hub.installations.remove(_asked(call))
    return nothing()


async def suspend(call: Call) -> Response:
    call.hub.installations.change(_asked(call), suspended_at=now(call.hub.site))
    return nothing()


async def unsuspend(call: Call) -> Response:
    call.hub.installations.change(_asked(call), suspended_at=None)
    return nothing()


async def token(call: Call) -> Response:
    """In the long form, unless a header asks for the old one (GitHub changelog, 2026-05-15)."""
    installation, asked = _asked(call), await call.body()
    stateless = call.request.headers.get("x-github-stateless-s2s-token") != "disabled"
    value, granted = call.hub.installations.token(installation, asked, stateless=stateless)
    shape: Doc = {
        "token": value,
        "expires_at": granted["expires_at"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "permissions": granted["permissions"],
        "repository_selection": "all"
        if granted["repositories"] is installation["repositories"] is None
        else "selected",
    }
    if granted["chosen"] is not None:
        shape["repositories"] = [call.shapes.repository(doc, None) for doc in granted["chosen"]]
    return made(shape)


async def on_account(call: Call) -> Response:
    call.app()
    found = call.hub.installations.on(call.hub.accounts.get(call.path["account"])["id"])
    if found is None:
        raise errors.not_found()
    return Json(call.shapes.installation(found))


async def on_repository(call: Call) -> Response:
    call.app()
    doc = _named(call)
    found = call.hub.installations.on(doc["owner_id"]) if doc else None
    if doc is None or found is None or not call.hub.installations.covers(found, doc):
        raise errors.not_found()
    return Json(call.shapes.installation(found))


def _named(call: Call) -> Doc | None:
    """The repository, whether the App's installations see it or not."""
    known = call.hub.repositories
    if "repository_id" in call.path:
        return known.by_id(call.path["repository_id"])
    owner, name = call.path["owner"], call.path["repo"]
    if known.named(owner, name) is None and (moved := known.moved(owner, name)):
        raise errors.moved(f"{call.shapes.base}/repositories/{moved['id']}/installation", changes=False)
    return known.named(owner, name)
