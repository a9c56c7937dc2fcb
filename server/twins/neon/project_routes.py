"""Projects, their operations, connection strings and transfers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
from starlette.responses import JSONResponse, Response

from server.twins.neon import documents
from server.twins.neon.area import PROJECT, Area
from server.twins.neon.bodies import AcceptTransferBody, CreateProjectBody, CreateTransferBody, UpdateProjectBody
from server.twins.neon.errors import api_error, not_found, outside_project
from server.twins.neon.names import in_cluster
from server.twins.neon.pool import PoolBusy
from server.twins.neon.regions import REGIONS
from server.twins.neon.requests import read_body, read_flag, read_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.rows import Doc, ProjectRow
    from server.twins.neon.state import Rules

DEFAULT_TIMEOUT_MS = 10_000
"""How long a list waits for the figures of its projects when the caller does not say."""


class ProjectRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.table = [
            ("GET", "/projects", self.list),
            ("POST", "/projects", self.create),
            ("GET", "/projects/shared", self.list_shared),
            ("GET", PROJECT, self.get),
            ("PATCH", PROJECT, self.update),
            ("DELETE", PROJECT, self.delete),
            ("POST", PROJECT + "/recover", self.recover),
            ("GET", PROJECT + "/operations", self.list_operations),
            ("GET", PROJECT + "/operations/{operation}", self.get_operation),
            ("GET", PROJECT + "/connection_uri", self.connection_uri),
            ("POST", PROJECT + "/transfer_requests", self.request_transfer),
            ("PUT", PROJECT + "/transfer_requests/{request}", self.accept_transfer),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """In order of creation; a page that is not empty has a cursor, so the last page is an empty one."""
        query = request.query_params
        limit = read_number(request, "limit", default=10, most=400)
        timeout = read_number(request, "timeout", default=DEFAULT_TIMEOUT_MS, least=100, most=30_000)
        recoverable = read_flag(request, "recoverable")
        if caller.project:
            raise outside_project(caller.project)
        org = self.parts.accounts.chosen(caller, query.get("org_id"))
        text, cursor = query.get("search", ""), query.get("cursor", "")
        page = [
            row
            for row in self.rules.projects.of(org["id"], deleted=recoverable)
            if row["position"] > cursor and (text in row["doc"]["name"] or text in row["id"])
        ][:limit]
        known = recoverable or await self._looked_at(page, timeout / 1000)
        shown = [self.rules.shown.listed(row) for row in page] if known else []
        body: Doc = {"projects": shown, "unavailable_project_ids": [] if known else [row["id"] for row in page]}
        body |= {"applications": {}, "integrations": {}}
        return JSONResponse(body | ({"pagination": {"cursor": page[-1]["position"]}} if page else {}))

    async def _looked_at(self, page: list[ProjectRow], seconds: float) -> bool:
        """Whether the figures of these projects could be had in time; one look gives them all or none."""
        try:
            async with asyncio.timeout(seconds):
                await self.parts.activity.look([row["id"] for row in page])
        except (TimeoutError, psycopg.OperationalError, PoolBusy):
            return False
        return True

    async def list_shared(self, request: Request, _caller: Caller) -> Response:
        """Nobody shares a project here."""
        read_number(request, "limit", default=10, most=400)
        return JSONResponse({"projects": []})

    async def create(self, request: Request, caller: Caller) -> Response:
        body = await read_body(request, CreateProjectBody)
        wanted = body.project
        org = self.parts.accounts.chosen(caller, wanted.org_id)
        if wanted.region_id not in {region[0] for region in REGIONS}:
            raise api_error(422, f"region_id: {wanted.region_id!r} is not an active region")
        project, branch, endpoint, password, operations = await self.rules.projects.create(wanted, org)
        [role], [database] = self.rules.shown.roles(branch), self.rules.shown.databases(branch)
        port = self.parts.cluster.server.port
        details = documents.connection_details(port, role["name"], password.reveal(), database["name"])
        return JSONResponse(
            {
                "project": self.rules.shown.project(project),
                "connection_uris": [details],
                "roles": [{**role, "password": password.reveal()}],
                "databases": [database],
                "operations": operations,
                "branch": self.rules.shown.branch(branch),
                "endpoints": [self.rules.shown.endpoint(endpoint)],
            },
            201,
        )

    async def get(self, request: Request, caller: Caller) -> Response:
        row = self.project(request, caller)
        await self.look(row["id"])
        return JSONResponse({"project": self.rules.shown.project(row)})

    async def update(self, request: Request, caller: Caller) -> Response:
        row = self.project(request, caller)
        body = await read_body(request, UpdateProjectBody)
        self.rules.projects.update(row, body.project)
        await self.look(row["id"])  # a changed quota counts at once
        return JSONResponse({"project": self.rules.shown.project(row), "operations": []})

    async def delete(self, request: Request, caller: Caller) -> Response:
        row = self.project(request, caller)
        if caller.project:
            raise api_error(404, "not allowed for project-scoped API keys")
        await self.rules.projects.delete(row)
        return JSONResponse({"project": self.rules.shown.project(row)})

    async def recover(self, request: Request, caller: Caller) -> Response:
        row = self.rules.projects.deleted(caller, request.path_params["project"])
        await self.rules.projects.recover(row)
        branches = [self.rules.shown.branch(branch) for branch in self.rules.branches.all(row["id"])]
        return JSONResponse({"project": self.rules.shown.project(row), "branches": branches})

    async def list_operations(self, request: Request, caller: Caller) -> Response:
        """Newest first."""
        project = self.project(request, caller)
        limit = read_number(request, "limit", default=1000, most=1000)
        cursor = request.query_params.get("cursor", "~")
        rows = [row for row in self.parts.operations.newest_first(project["id"]) if row["position"] < cursor]
        page = rows[:limit]
        body: Doc = {"operations": [row["doc"] for row in page]}
        return JSONResponse(body | ({"pagination": {"cursor": page[-1]["position"]}} if page else {}))

    async def get_operation(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        row = self.parts.operations.get(project["id"], request.path_params["operation"])
        return JSONResponse({"operation": row["doc"]})

    async def connection_uri(self, request: Request, caller: Caller) -> Response:
        project, query = self.project(request, caller), request.query_params
        for name in ("database_name", "role_name"):
            if not query.get(name):
                raise api_error(400, f"{name} is required")
        read_flag(request, "pooled")  # the twin's endpoints have one host, and no limit a pooler would lift
        asked = query.get("branch_id")
        branches = self.rules.branches
        branch = branches.get(project["id"], asked) if asked else branches.default(project["id"])
        if query.get("endpoint_id"):
            endpoint = self.rules.endpoints.get(project["id"], query["endpoint_id"])
            branch = branches.get(project["id"], endpoint["branch"])
        else:
            endpoint = next(iter(self.parts.logins.endpoints(branch["id"], kind="read_write")), None)
        if endpoint is None or (asked and branch["id"] != asked):
            raise not_found("endpoint")
        role = self.rules.roles.role(branch, query["role_name"])
        database = self.rules.roles.database(branch, query["database_name"])
        password = self.rules.roles.password(project, role)
        login = in_cluster(role["name"], self.rules.shown.scope(branch, endpoint))
        name = in_cluster(database["name"], branch["scope"])
        return JSONResponse({"uri": documents.connection_uri(self.parts.cluster.server.port, login, password, name)})

    async def request_transfer(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        if caller.project:
            raise outside_project(caller.project)
        body = await read_body(request, CreateTransferBody, required=False)
        return JSONResponse(self.rules.transfers.create(project, body.ttl_seconds), 201)

    async def accept_transfer(self, request: Request, caller: Caller) -> Response:
        """By whoever was given the request's id; without `org_id`, for the caller's own organization."""
        if caller.project:
            raise outside_project(caller.project)
        body = await read_body(request, AcceptTransferBody, required=False)
        org = body.org_id or self.parts.accounts.organizations(caller)[0]["id"]
        target = self.parts.accounts.organization(caller, org)
        params = request.path_params
        if reasons := self.rules.transfers.accept(params["project"], params["request"], target):
            return JSONResponse({"reasons": reasons}, 406)
        return Response(status_code=204)
