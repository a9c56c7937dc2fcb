"""API keys: a person's own, and an organization's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.neon.area import ORGANIZATION, Area
from server.twins.neon.bodies import CreateKeyBody
from server.twins.neon.errors import not_found
from server.twins.neon.requests import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.rows import Doc, KeyRow
    from server.twins.neon.state import Rules


class KeyRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.accounts = rules.parts.accounts
        self.table = [
            ("GET", "/api_keys", self.list_keys),
            ("POST", "/api_keys", self.create_key),
            ("DELETE", "/api_keys/{key:int}", self.revoke_key),
            ("GET", ORGANIZATION + "/api_keys", self.list_organization_keys),
            ("POST", ORGANIZATION + "/api_keys", self.create_organization_key),
            ("DELETE", ORGANIZATION + "/api_keys/{key:int}", self.revoke_organization_key),
        ]

    async def list_keys(self, _request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        return JSONResponse([self._listed(key) for key in self.accounts.keys(user=user["id"])])

    async def create_key(self, request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        body = await read_body(request, CreateKeyBody)
        key, token = self.accounts.create_key(body.key_name, user["id"])
        return JSONResponse({**_key(key), "key": token.reveal(), "created_by": user["id"]})

    async def revoke_key(self, request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        return self._revoke(self.accounts.keys(user=user["id"]), request)

    async def list_organization_keys(self, request: Request, caller: Caller) -> Response:
        org = self.accounts.organization(caller, request.path_params["org"])
        return JSONResponse([self._listed(key) for key in self.accounts.keys(org=org["id"])])

    async def create_organization_key(self, request: Request, caller: Caller) -> Response:
        """As on Neon an organization's key makes no other: it takes a person's."""
        user = self.accounts.person(caller)
        org = self.accounts.organization(caller, request.path_params["org"])
        body = await read_body(request, CreateKeyBody)
        if body.project_id and self.rules.projects.get(caller, body.project_id)["org"] != org["id"]:
            raise not_found("project")
        key, token = self.accounts.create_key(body.key_name, user["id"], org["id"], body.project_id or "")
        return JSONResponse({**_key(key), "key": token.reveal(), "created_by": user["id"]})

    async def revoke_organization_key(self, request: Request, caller: Caller) -> Response:
        self.accounts.person(caller)
        org = self.accounts.organization(caller, request.path_params["org"])
        return self._revoke(self.accounts.keys(org=org["id"]), request)

    def _revoke(self, keys: list[KeyRow], request: Request) -> Response:
        for key in keys:
            if key["id"] == str(request.path_params["key"]):
                self.accounts.revoke(key)
                return JSONResponse({**_key(key), **_last_used(key), "created_by": key["user"], "revoked": True})
        raise not_found("API key")

    def _listed(self, key: KeyRow) -> Doc:
        user = self.accounts.user(key["user"])
        creator = {"id": user["id"], "name": user["name"], "image": ""}
        return {**_key(key), **_last_used(key), "created_by": creator}


def _key(key: KeyRow) -> Doc:
    scope = {"project_id": key["project"]} if key["project"] else {}
    return {"id": int(key["id"]), "name": key["name"], "created_at": key["created_at"], **scope}


def _last_used(key: KeyRow) -> Doc:
    return {"last_used_at": key["last_used_at"] or None, "last_used_from_addr": key["last_used_from"]}
