"""Compute endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.neon.area import ENDPOINT, PROJECT, Area
from server.twins.neon.bodies import CreateEndpointBody, UpdateEndpointBody
from server.twins.neon.requests import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.rows import Doc, EndpointRow
    from server.twins.neon.state import Rules


class EndpointRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.table = [
            ("GET", PROJECT + "/endpoints", self.list),
            ("POST", PROJECT + "/endpoints", self.create),
            ("GET", ENDPOINT, self.get),
            ("PATCH", ENDPOINT, self.update),
            ("DELETE", ENDPOINT, self.delete),
            ("POST", ENDPOINT + "/start", self.start),
            ("POST", ENDPOINT + "/suspend", self.suspend),
            ("POST", ENDPOINT + "/restart", self.restart),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        await self.look(project["id"])
        found = self.rules.endpoints.all(project["id"])
        return JSONResponse({"endpoints": [self.rules.shown.endpoint(row) for row in found]})

    async def create(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        body = await read_body(request, CreateEndpointBody)
        branch = self.rules.branches.get(project["id"], body.endpoint.branch_id)
        row, operations = self.rules.endpoints.create(project, branch, body.endpoint)
        return self._with(row, operations, 201)

    async def get(self, request: Request, caller: Caller) -> Response:
        row = self._endpoint(request, caller)
        await self.look(row["project"])
        return JSONResponse({"endpoint": self.rules.shown.endpoint(row)})

    async def update(self, request: Request, caller: Caller) -> Response:
        row = self._endpoint(request, caller)
        body = await read_body(request, UpdateEndpointBody)
        return self._with(row, self.rules.endpoints.update(row, body.endpoint))

    async def delete(self, request: Request, caller: Caller) -> Response:
        """204 while one that was deleted is still being taken down; 404 for one there never was."""
        project = self.project(request, caller)
        known = self.parts.tables.endpoints.get(request.path_params["endpoint"])
        if known is not None and known["project"] == project["id"] and known["deleted_at"]:
            return Response(status_code=204)
        row = self.rules.endpoints.get(project["id"], request.path_params["endpoint"])
        return self._with(row, self.rules.endpoints.delete(row))

    async def start(self, request: Request, caller: Caller) -> Response:
        row = self._endpoint(request, caller)
        return self._with(row, self.rules.endpoints.start(row))

    async def suspend(self, request: Request, caller: Caller) -> Response:
        row = self._endpoint(request, caller)
        return self._with(row, self.rules.endpoints.suspend(row))

    async def restart(self, request: Request, caller: Caller) -> Response:
        row = self._endpoint(request, caller)
        return self._with(row, self.rules.endpoints.restart(row))

    def _endpoint(self, request: Request, caller: Caller) -> EndpointRow:
        project = self.project(request, caller)
        return self.rules.endpoints.get(project["id"], request.path_params["endpoint"])

    def _with(self, row: EndpointRow, operations: list[Doc], status: int = 200) -> Response:
        return JSONResponse({"endpoint": self.rules.shown.endpoint(row), "operations": operations}, status)
