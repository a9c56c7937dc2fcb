"""Branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.neon.area import BRANCH, PROJECT, Area
from server.twins.neon.bodies import CreateBranchBody, FinalizeRestoreBody, RestoreBranchBody, UpdateBranchBody
from server.twins.neon.requests import read_body, read_choice, read_flag, read_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.rows import BranchRow, Doc
    from server.twins.neon.state import Rules


class BranchRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.table = [
            ("GET", PROJECT + "/branches", self.list),
            ("POST", PROJECT + "/branches", self.create),
            ("GET", PROJECT + "/branches/count", self.count),
            ("GET", BRANCH, self.get),
            ("PATCH", BRANCH, self.update),
            ("DELETE", BRANCH, self.delete),
            ("POST", BRANCH + "/restore", self.restore),
            ("POST", BRANCH + "/set_as_default", self.set_as_default),
            ("POST", BRANCH + "/recover", self.recover),
            ("POST", BRANCH + "/finalize_restore", self.finalize_restore),
            ("GET", BRANCH + "/endpoints", self.endpoints),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        key = read_choice(request, "sort_by", "updated_at", "created_at", "name")
        order = read_choice(request, "sort_order", "desc", "asc")
        limit = read_number(request, "limit", default=10_000, most=10_000)
        after = read_number(request, "cursor", default=0, least=0, most=10**9)
        rows = self._found(request, project["id"], deleted=read_flag(request, "include_deleted"))
        rows.sort(key=lambda row: (row["doc"][key], row["id"]), reverse=order == "desc")
        page = rows[after : after + limit]
        await self.look(project["id"])
        pagination: Doc = {"sort_by": key, "sort_order": order.upper()}
        if after + limit < len(rows):
            pagination["next"] = str(after + limit)
        noted = {row["id"]: row["annotation"] for row in page if row["annotation"]["value"]}
        shown = [self.rules.shown.branch(row) for row in page]
        return JSONResponse({"branches": shown, "annotations": noted, "pagination": pagination})

    async def count(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        return JSONResponse({"count": len(self._found(request, project["id"], deleted=False))})

    async def create(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        body = await read_body(request, CreateBranchBody, required=False)
        if body.branch.parent_timestamp:
            await self.look(project["id"])
        branch, endpoints, operations = await self.rules.branches.create(project, body)
        answer: Doc = {
            "branch": self.rules.shown.branch(branch),
            "endpoints": [self.rules.shown.endpoint(row) for row in endpoints],
            "operations": operations,
            "roles": self.rules.shown.roles(branch),
            "databases": self.rules.shown.databases(branch),
        }
        uris = [detail for row in endpoints for detail in self.rules.shown.connection(branch, row)]
        return JSONResponse(answer | ({"connection_uris": uris} if uris else {}), 201)

    async def get(self, request: Request, caller: Caller) -> Response:
        project, branch = self.branch(request, caller)
        await self.look(project["id"])
        return JSONResponse({"branch": self.rules.shown.branch(branch), "annotation": branch["annotation"]})

    async def update(self, request: Request, caller: Caller) -> Response:
        _, branch = self.branch(request, caller)
        body = await read_body(request, UpdateBranchBody)
        self.rules.branch_changes.update(branch, body.branch)
        return self._with(branch, [])

    async def delete(self, request: Request, caller: Caller) -> Response:
        """204 for one that was deleted before; 404 for one there never was."""
        project = self.project(request, caller)
        known = self.parts.tables.branches.get(request.path_params["branch"])
        if known is not None and known["project"] == project["id"] and known["status"] == "deleted":
            return Response(status_code=204)
        branch = self.rules.branches.get(project["id"], request.path_params["branch"])
        hard = read_flag(request, "hard_delete")
        operations = self.rules.branch_changes.delete(branch, hard=hard)
        return self._with(branch, operations)

    async def restore(self, request: Request, caller: Caller) -> Response:
        project, branch = self.branch(request, caller)
        body = await read_body(request, RestoreBranchBody)
        if body.source_timestamp:
            await self.look(project["id"])
        operations = await self.rules.restores.restore(project, branch, body)
        return self._with(branch, operations)

    async def set_as_default(self, request: Request, caller: Caller) -> Response:
        _, branch = self.branch(request, caller)
        self.rules.branch_changes.set_default(branch)
        return self._with(branch, [])

    async def recover(self, request: Request, caller: Caller) -> Response:
        project = self.project(request, caller)
        branch, _ = self.rules.branch_changes.recover(project["id"], request.path_params["branch"])
        endpoints = [self.rules.shown.endpoint(row) for row in self.parts.logins.endpoints(branch["id"])]
        return JSONResponse({"branch": self.rules.shown.branch(branch), "endpoints": endpoints})

    async def finalize_restore(self, request: Request, caller: Caller) -> Response:
        project, branch = self.branch(request, caller)
        body = await read_body(request, FinalizeRestoreBody, required=False)
        return JSONResponse({"operations": await self.rules.restores.finalize(project, branch, body.name)})

    async def endpoints(self, request: Request, caller: Caller) -> Response:
        project, branch = self.branch(request, caller)
        await self.look(project["id"])
        found = self.parts.logins.endpoints(branch["id"])
        return JSONResponse({"endpoints": [self.rules.shown.endpoint(row) for row in found]})

    def _found(self, request: Request, project: str, *, deleted: bool) -> list[BranchRow]:
        text = request.query_params.get("search", "")
        rows = self.rules.branches.all(project, deleted=deleted)
        return [row for row in rows if text in row["doc"]["name"] or text in row["id"]]

    def _with(self, branch: BranchRow, operations: list[Doc]) -> Response:
        return JSONResponse({"branch": self.rules.shown.branch(branch), "operations": operations})
