"""Snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.neon.area import BRANCH, PROJECT, SNAPSHOT, Area
from server.twins.neon.bodies import RestoreSnapshotBody, UpdateSnapshotBody
from server.twins.neon.requests import read_body, read_moment

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.state import Rules


class SnapshotRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.snapshots = rules.snapshots
        self.table = [
            ("POST", BRANCH + "/snapshot", self.create),
            ("GET", PROJECT + "/snapshots", self.list),
            ("PATCH", SNAPSHOT, self.update),
            ("DELETE", SNAPSHOT, self.delete),
            ("POST", SNAPSHOT + "/restore", self.restore),
        ]

    async def create(self, request: Request, caller: Caller) -> Response:
        project, branch = self.branch(request, caller)
        query = request.query_params
        await self.look(project["id"])
        row, operations = await self.snapshots.create(
            project,
            branch,
            name=query.get("name"),
            lsn=query.get("lsn"),
            when=read_moment(request, "timestamp"),
            expires_at=read_moment(request, "expires_at"),
        )
        return JSONResponse({"snapshot": row["doc"], "operations": operations})

    async def list(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        found = self.parts.tables.snapshots.by("project", project["id"])
        return JSONResponse({"snapshots": [row["doc"] for row in found]})

    async def update(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        row = self.snapshots.get(project["id"], request.path_params["snapshot"])
        body = await read_body(request, UpdateSnapshotBody)
        self.snapshots.rename(row, body.snapshot.name)
        return JSONResponse({"snapshot": row["doc"]})

    async def delete(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        row = self.snapshots.get(project["id"], request.path_params["snapshot"])
        return JSONResponse({"operations": self.snapshots.delete(row)}, 202)

    async def restore(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        row = self.snapshots.get(project["id"], request.path_params["snapshot"])
        body = await read_body(request, RestoreSnapshotBody, required=False)
        if body.name is None and request.query_params.get("name"):
            body.name = request.query_params["name"]
        branch, endpoints, operations = await self.snapshots.restore(project, row, body)
        shown = [self.rules.shown.endpoint(endpoint) for endpoint in endpoints]
        return JSONResponse({"branch": self.rules.shown.branch(branch), "endpoints": shown, "operations": operations})
