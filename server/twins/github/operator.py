"""The twin's own routes, for its operator: other people, their tokens, the App's key, and consent to transfers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core import WireError
from server.twins.core.admin import admin_only
from server.twins.github.accounts import LOGIN
from server.twins.github.installations import PERMISSIONS
from server.twins.github.tokens import OPERATOR_SCOPES, classic_form, fine_grained_form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.github.state import Hub

Doc = dict[str, Any]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Account(_Asked):
    login: str
    name: str | None = None
    email: str | None = None


class _Organization(_Asked):
    login: str
    owner: str = LOGIN


class _Member(_Asked):
    role: Literal["admin", "member"] = "member"


class _Token(_Asked):
    """A classic token has scopes; a fine-grained one an owner, permissions and perhaps a list of repositories."""

    login: str = LOGIN
    scopes: list[str] | None = None
    owner: str | None = None
    permissions: dict[str, Literal["read", "write", "admin"]] | None = None
    repositories: list[str] | None = None
    """Full names."""
    expires_at: datetime | None = None


class _Installation(_Asked):
    account: str
    repositories: list[str] | None = None
    """Names; all where there are none."""
    permissions: dict[str, Literal["read", "write", "admin"]] | None = None


class _Answer(_Asked):
    accept: bool


def routes(hub: Hub) -> list[BaseRoute]:
    def on(spec: str, handler: Callable[[Hub, Request], Awaitable[Any]], status: int = 200) -> Route:
        method, path = spec.split()

        async def answer(request: Request) -> Response:
            try:
                body = await handler(hub, request)
            except ValidationError as error:
                raise WireError(422, {"error": str(error)}) from None
            return JSONResponse(body, status) if body is not None else Response(status_code=204)

        return Route(f"/_twin/{path}", admin_only(hub.site, answer), methods=[method])

    return [
        on("POST users", add_user, 201),
        on("POST organizations", add_organization, 201),
        on("PUT organizations/{org}/members/{login}", join),
        on("POST tokens", add_token, 201),
        on("GET app", get_app),
        on("POST app/installations", install, 201),
        on("GET transfers", transfers),
        on("POST transfers/{id}", answer_transfer),
    ]


async def add_user(hub: Hub, request: Request) -> Doc:
    asked = _Account.model_validate_json(await request.body())
    return hub.accounts.change(hub.accounts.add(asked.login), {"name": asked.name, "email": asked.email})


async def add_organization(hub: Hub, request: Request) -> Doc:
    asked = _Organization.model_validate_json(await request.body())
    owner = hub.accounts.get(asked.owner, "User")
    made = hub.accounts.add(asked.login, "Organization")
    hub.accounts.join(made, owner, "admin")
    return made


async def join(hub: Hub, request: Request) -> None:
    asked = _Member.model_validate_json(await request.body() or b"{}")
    organization = hub.accounts.get(request.path_params["org"], "Organization")
    hub.accounts.join(organization, hub.accounts.get(request.path_params["login"], "User"), asked.role)


async def add_token(hub: Hub, request: Request) -> Doc:
    asked = _Token.model_validate_json(await request.body() or b"{}")
    user = hub.accounts.get(asked.login, "User")
    if asked.permissions is None and asked.repositories is None:
        scopes = [*OPERATOR_SCOPES] if asked.scopes is None else asked.scopes
        return {"token": hub.tokens.add(classic_form(), {"account": user["id"], "scopes": scopes}, asked.expires_at)}
    found = [hub.repositories.named(*name.split("/", 1)) for name in asked.repositories or []]
    owner = hub.accounts.get(asked.owner or (asked.repositories or [asked.login])[0].split("/")[0])
    granted: Doc = {
        "account": user["id"],
        "owner": owner["id"],
        "permissions": {"metadata": "read", **(asked.permissions or {})},
        "repositories": None if asked.repositories is None else [doc["id"] for doc in found if doc],
    }
    return {"token": hub.tokens.add(fine_grained_form(), granted, asked.expires_at)}


async def get_app(hub: Hub, _request: Request) -> Doc:
    key = hub.key
    installed = [
        {"id": each["id"], "account": hub.accounts.by_id(each["account"])["login"], "permissions": each["permissions"]}
        for each in hub.installations.all()
    ]
    named = {"id": key.id, "client_id": key.client_id, "slug": key.slug}
    return {**named, "private_key": key.pem, "installations": installed}


def app_credentials(hub: Hub) -> dict[str, str]:
    """The App's, and its installation on the operator's own account, while there is one."""
    operator = hub.accounts.named(LOGIN)
    found = [each for each in hub.installations.all() if operator and each["account"] == operator["id"]]
    installed = {"GITHUB_APP_INSTALLATION_ID": str(found[0]["id"])} if found else {}
    return {"GITHUB_APP_ID": str(hub.key.id), **installed, "GITHUB_APP_PRIVATE_KEY": hub.key.pem}


async def install(hub: Hub, request: Request) -> Doc:
    asked = _Installation.model_validate_json(await request.body())
    account = hub.accounts.get(asked.account)
    found = [hub.repositories.named(account["login"], name) for name in asked.repositories or []]
    listed = None if asked.repositories is None else [doc["id"] for doc in found if doc]
    made = hub.installations.install(account, listed, asked.permissions or PERMISSIONS)
    return {"id": made["id"], "account": account["login"], "permissions": made["permissions"]}


async def transfers(hub: Hub, _request: Request) -> Doc:
    def shown(transfer: Doc) -> Doc:
        repository = hub.repositories.by_id(transfer["repository"])
        name = hub.repositories.full_name(repository) if repository else ""
        return {"id": transfer["id"], "repository": name, "to": hub.accounts.by_id(transfer["owner"])["login"]}

    return {"transfers": [shown(each) for each in hub.transfers.pending()]}


async def answer_transfer(hub: Hub, request: Request) -> None:
    """What the link in GitHub's mail does for the one who shall have the repository."""
    asked = _Answer.model_validate_json(await request.body())
    hub.transfers.answer(request.path_params["id"], agreed=asked.accept)
