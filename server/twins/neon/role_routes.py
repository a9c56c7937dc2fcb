"""Roles and databases of a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.neon import documents
from server.twins.neon.area import BRANCH, DATABASE, ROLE, Area
from server.twins.neon.bodies import CreateDatabaseBody, CreateRoleBody, UpdateDatabaseBody
from server.twins.neon.requests import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.rows import BranchRow, DatabaseRow, Doc, ProjectRow, RoleRow
    from server.twins.neon.state import Rules


class RoleRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.roles = rules.roles
        self.table = [
            ("GET", BRANCH + "/roles", self.list_roles),
            ("POST", BRANCH + "/roles", self.create_role),
            ("GET", ROLE, self.get_role),
            ("DELETE", ROLE, self.delete_role),
            ("POST", ROLE + "/reset_password", self.reset_password),
            ("GET", ROLE + "/reveal_password", self.reveal_password),
            ("GET", BRANCH + "/databases", self.list_databases),
            ("POST", BRANCH + "/databases", self.create_database),
            ("GET", DATABASE, self.get_database),
            ("PATCH", DATABASE, self.update_database),
            ("DELETE", DATABASE, self.delete_database),
        ]

    async def list_roles(self, request: Request, caller: Caller) -> Response:
        _, branch = self.branch(request, caller)
        return JSONResponse({"roles": self.rules.shown.roles(branch)})

    async def create_role(self, request: Request, caller: Caller) -> Response:
        project, branch = self.branch(request, caller)
        body = await read_body(request, CreateRoleBody)
        role, password, operations = await self.roles.create_role(project, branch, body.role)
        shown = {**documents.role(branch, role), **({"password": password} if password else {})}
        return JSONResponse({"role": shown, "operations": operations}, 201)

    async def get_role(self, request: Request, caller: Caller) -> Response:
        _, branch, role = self._role(request, caller)
        return JSONResponse({"role": documents.role(branch, role)})

    async def delete_role(self, request: Request, caller: Caller) -> Response:
        _, branch, role = self._role(request, caller)
        shown = documents.role(branch, role)
        return JSONResponse({"role": shown, "operations": self.roles.delete_role(branch, role)})

    async def reset_password(self, request: Request, caller: Caller) -> Response:
        project, branch, role = self._role(request, caller)
        password, operations = await self.roles.reset_password(project, branch, role)
        return JSONResponse({"role": {**documents.role(branch, role), "password": password}, "operations": operations})

    async def reveal_password(self, request: Request, caller: Caller) -> Response:
        project, _, role = self._role(request, caller)
        return JSONResponse({"password": self.roles.password(project, role)})

    async def list_databases(self, request: Request, caller: Caller) -> Response:
        _, branch = self.branch(request, caller)
        return JSONResponse({"databases": self.rules.shown.databases(branch)})

    async def create_database(self, request: Request, caller: Caller) -> Response:
        _, branch = self.branch(request, caller)
        body = await read_body(request, CreateDatabaseBody)
        row, operations = self.roles.create_database(branch, body.database)
        return self._database_with(branch, row, operations, 201)

    async def get_database(self, request: Request, caller: Caller) -> Response:
        branch, row = self._database(request, caller)
        return JSONResponse({"database": documents.database(branch, row)})

    async def update_database(self, request: Request, caller: Caller) -> Response:
        branch, row = self._database(request, caller)
        body = await read_body(request, UpdateDatabaseBody)
        return self._database_with(branch, row, self.roles.update_database(branch, row, body.database))

    async def delete_database(self, request: Request, caller: Caller) -> Response:
        branch, row = self._database(request, caller)
        return self._database_with(branch, row, self.roles.delete_database(branch, row))

    def _role(self, request: Request, caller: Caller) -> tuple[ProjectRow, BranchRow, RoleRow]:
        project, branch = self.branch(request, caller)
        return project, branch, self.roles.role(branch, request.path_params["role"])

    def _database(self, request: Request, caller: Caller) -> tuple[BranchRow, DatabaseRow]:
        _, branch = self.branch(request, caller)
        return branch, self.roles.database(branch, request.path_params["database"])

    @staticmethod
    def _database_with(branch: BranchRow, row: DatabaseRow, operations: list[Doc], status: int = 200) -> Response:
        return JSONResponse({"database": documents.database(branch, row), "operations": operations}, status)
