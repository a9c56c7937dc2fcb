"""Neon API v2 under `/api/v2`: projects and what is in them. Source: Neon's OpenAPI description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from server.twins.core.auth import bearer, same
from server.twins.neon import documents
from server.twins.neon.errors import api_error, not_found, unauthorized
from server.twins.neon.pool import PoolBusy
from server.twins.neon.requests import (
    DEFAULT_REGION,
    REGIONS,
    CreateBody,
    UpdateBody,
    read_body,
    read_limit,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.neon.documents import Doc, Stored
    from server.twins.neon.state import Projects

PROJECT = "/projects/{project}"
BRANCH = PROJECT + "/branches/{branch}"
ROLE = BRANCH + "/roles/{role}"


def api_routes(site: Site, projects: Projects) -> list[BaseRoute]:
    api = _Api(projects)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "/projects", api.list_projects),
        ("POST", "/projects", api.create_project),
        ("GET", PROJECT, api.get_project),
        ("PATCH", PROJECT, api.update_project),
        ("DELETE", PROJECT, api.delete_project),
        ("GET", PROJECT + "/operations", api.list_operations),
        ("GET", PROJECT + "/operations/{operation}", api.get_operation),
        ("GET", PROJECT + "/connection_uri", api.connection_uri),
        ("GET", PROJECT + "/branches", api.list_branches),
        ("GET", BRANCH, api.get_branch),
        ("GET", PROJECT + "/endpoints", api.list_endpoints),
        ("GET", PROJECT + "/endpoints/{endpoint}", api.get_endpoint),
        ("GET", BRANCH + "/endpoints", api.list_endpoints),
        ("GET", BRANCH + "/databases", api.list_databases),
        ("GET", BRANCH + "/databases/{database}", api.get_database),
        ("GET", BRANCH + "/roles", api.list_roles),
        ("GET", ROLE, api.get_role),
        ("POST", ROLE + "/reset_password", api.reset_password),
        ("GET", ROLE + "/reveal_password", api.reveal_password),
        ("GET", "/regions", api.list_regions),
    ]
    return [Mount("/api/v2", routes=[Route(path, _guarded(site, do), methods=[verb]) for verb, path, do in table])]


def _guarded(site: Site, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        if not same(bearer(request), site.credential):
            raise unauthorized()
        try:
            return await handler(request)
        except (psycopg.OperationalError, PoolBusy):
            raise api_error(503, "the service is temporarily unavailable") from None

    return guarded


class _Api:
    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def list_projects(self, request: Request) -> Response:
        """In order of creation; a page that is not empty has a cursor, so the last page is an empty one."""
        query = request.query_params
        limit = read_limit(request, default=10, most=400)
        org, text, cursor = query.get("org_id"), query.get("search", ""), query.get("cursor", "")
        page = [
            stored
            for stored in self._projects.all()
            if stored["position"] > cursor
            and org in (None, "", stored["project"]["org_id"])
            and (text in stored["project"]["name"] or text in stored["id"])
            and query.get("recoverable") != "true"  # nothing deleted here can be had back
        ][:limit]
        body: Doc = {"projects": [documents.listed(stored["project"]) for stored in page]}
        body |= {"unavailable_project_ids": [], "applications": {}, "integrations": {}}
        return JSONResponse(body | ({"pagination": {"cursor": page[-1]["position"]}} if page else {}))

    async def create_project(self, request: Request) -> Response:
        body = await read_body(request, CreateBody)
        stored = await self._projects.create(body.project)
        return JSONResponse(documents.created(stored, self._projects.port), 201)

    async def get_project(self, request: Request) -> Response:
        return JSONResponse({"project": self._stored(request)["project"]})

    async def update_project(self, request: Request) -> Response:
        self._stored(request)
        body = await read_body(request, UpdateBody)
        stored = self._projects.update(request.path_params["project"], body.project)
        return JSONResponse({"project": stored["project"], "operations": []})

    async def delete_project(self, request: Request) -> Response:
        stored = await self._projects.delete(request.path_params["project"])
        return JSONResponse({"project": stored["project"]})

    async def list_operations(self, request: Request) -> Response:
        """Newest first."""
        limit = read_limit(request, default=1000, most=1000)
        newest = self._stored(request)["operations"][::-1]
        ids = [each["id"] for each in newest]
        cursor = request.query_params.get("cursor")
        page = newest[ids.index(cursor) + 1 if cursor in ids else 0 :][:limit]
        return JSONResponse({"operations": page} | ({"pagination": {"cursor": page[-1]["id"]}} if page else {}))

    async def get_operation(self, request: Request) -> Response:
        found = self._stored(request)["operations"]
        return JSONResponse({"operation": _find(found, "id", request.path_params["operation"], "operation")})

    async def connection_uri(self, request: Request) -> Response:
        stored, query = self._stored(request), request.query_params
        for name in ("database_name", "role_name"):
            if not query.get(name):
                raise api_error(400, f"{name} is required")
        role = _named(stored, stored["roles"], query["role_name"], "role")
        database = _named(stored, stored["databases"], query["database_name"], "database")
        password = self._projects.password(stored, role)
        uri = documents.connection_uri(self._projects.port, role["name"], password, database["name"])
        return JSONResponse({"uri": uri})

    async def list_branches(self, request: Request) -> Response:
        branch = self._stored(request)["branch"]
        found = [branch] if request.query_params.get("search", "") in branch["name"] else []
        order = {"sort_by": "updated_at", "sort_order": "DESC"}
        return JSONResponse({"branches": found, "annotations": {}, "pagination": order})

    async def get_branch(self, request: Request) -> Response:
        branch = self._on_branch(request)["branch"]
        annotation: Doc = {"object": {"type": "console/branch", "id": branch["id"]}, "value": {}}
        return JSONResponse({"branch": branch, "annotation": annotation})

    async def list_endpoints(self, request: Request) -> Response:
        return JSONResponse({"endpoints": [self._on_branch(request)["endpoint"]]})

    async def get_endpoint(self, request: Request) -> Response:
        found = [self._stored(request)["endpoint"]]
        return JSONResponse({"endpoint": _find(found, "id", request.path_params["endpoint"], "endpoint")})

    async def list_databases(self, request: Request) -> Response:
        return JSONResponse({"databases": self._on_branch(request)["databases"]})

    async def get_database(self, request: Request) -> Response:
        stored = self._on_branch(request)
        name = request.path_params["database"]
        return JSONResponse({"database": _named(stored, stored["databases"], name, "database")})

    async def list_roles(self, request: Request) -> Response:
        return JSONResponse({"roles": self._on_branch(request)["roles"]})

    async def get_role(self, request: Request) -> Response:
        return JSONResponse({"role": self._role(request)[1]})

    async def reset_password(self, request: Request) -> Response:
        stored, role = self._role(request)
        changed, done = await self._projects.reset_password(stored["id"], role)
        return JSONResponse({"role": changed, "operations": [done]})

    async def reveal_password(self, request: Request) -> Response:
        stored, role = self._role(request)
        return JSONResponse({"password": self._projects.password(stored, role)})

    async def list_regions(self, _request: Request) -> Response:
        keys = ("region_id", "name", "geo_lat", "geo_long")
        regions: list[dict[str, Any]] = [dict(zip(keys, region, strict=True)) for region in REGIONS]
        return JSONResponse({"regions": [{**each, "default": each["region_id"] == DEFAULT_REGION} for each in regions]})

    def _stored(self, request: Request) -> Stored:
        return self._projects.get(request.path_params["project"])

    def _on_branch(self, request: Request) -> Stored:
        stored = self._stored(request)
        if request.path_params.get("branch", stored["branch"]["id"]) != stored["branch"]["id"]:
            raise not_found("branch")
        return stored

    def _role(self, request: Request) -> tuple[Stored, Doc]:
        stored = self._on_branch(request)
        return stored, _named(stored, stored["roles"], request.path_params["role"], "role")


def _find(docs: list[Doc], key: str, value: str, what: str) -> Doc:
    for doc in docs:
        if doc[key] == value:
            return doc
    raise not_found(what)


def _named(stored: Stored, docs: list[Doc], name: str, what: str) -> Doc:
    """By its name on the cluster, or by the name it was asked for."""
    for doc in docs:
        if name in (doc["name"], stored["asked"].get(doc["name"])):
            return doc
    raise not_found(what)
