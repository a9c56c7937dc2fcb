"""What the routes of every area share: which project and branch a request is about, and fresh figures."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

from server.twins.neon.errors import outside_project
from server.twins.neon.pool import PoolBusy

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.routes import Handler
    from server.twins.neon.rows import BranchRow, ProjectRow
    from server.twins.neon.state import Rules

ORGANIZATION = "/organizations/{org}"
PROJECT = "/projects/{project}"
BRANCH = PROJECT + "/branches/{branch}"
ROLE = BRANCH + "/roles/{role}"
DATABASE = BRANCH + "/databases/{database}"
ENDPOINT = PROJECT + "/endpoints/{endpoint}"
SNAPSHOT = PROJECT + "/snapshots/{snapshot}"


class Area:
    table: list[tuple[str, str, Handler]]

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.parts = rules.parts

    def project(self, request: Request, caller: Caller) -> ProjectRow:
        project = request.path_params["project"]
        if caller.project and caller.project != project:
            raise outside_project(caller.project)
        return self.rules.projects.get(caller, project)

    def branch(self, request: Request, caller: Caller) -> tuple[ProjectRow, BranchRow]:
        project = self.project(request, caller)
        return project, self.rules.branches.get(project["id"], request.path_params["branch"])

    async def look(self, *projects: str) -> None:
        """Have figures of this moment; those of the last look while PostgreSQL is away."""
        with contextlib.suppress(psycopg.OperationalError, PoolBusy):
            await self.parts.activity.look(projects)
