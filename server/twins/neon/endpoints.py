"""Compute endpoints: made, changed, started, suspended. Source: Neon API v2, Endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.neon import documents
from server.twins.neon.computes import SAID
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import api_error, exists, not_found
from server.twins.neon.operations import Step
from server.twins.neon.rows import EndpointRow

if TYPE_CHECKING:
    from server.twins.neon.bodies import EndpointCreate, EndpointOptions, EndpointUpdate
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import BranchRow, Doc, ProjectRow


class Endpoints:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tables = parts.tables
        parts.operations.register("start", self._start)
        parts.operations.register("suspend", self._suspend)
        parts.operations.register("apply_endpoint", self._apply)
        parts.operations.register("remove_endpoint", self._remove)

    def get(self, project: str, endpoint: str) -> EndpointRow:
        row = self._tables.endpoints.get(endpoint)
        if row is None or row["project"] != project or row["deleted_at"]:
            raise not_found("endpoint")
        return row

    def all(self, project: str) -> list[EndpointRow]:
        """Those of branches that are there."""
        found = [row for row in self._tables.endpoints.by("project", project) if not row["deleted_at"]]
        return [row for row in found if self._branch(row)["status"] == "ready"]

    def new(self, project: ProjectRow, branch: BranchRow, wanted: EndpointOptions) -> EndpointRow:
        """Raises 409 for a second one that writes."""
        if wanted.type == "read_write" and self._parts.logins.endpoints(branch["id"], kind="read_write"):
            raise exists("read_write endpoint", code="ENDPOINTS_LIMIT_EXCEEDED")
        at = timestamp(self._parts.site.clock())
        doc = documents.endpoint(project["doc"], branch["id"], wanted, at)
        row = EndpointRow(
            id=doc["id"],
            project=project["id"],
            branch=branch["id"],
            doc=doc,
            deleted_at="",
            active_since="",
            last_active="",
        )
        self._tables.endpoints.put(row)
        return row

    def create(self, project: ProjectRow, branch: BranchRow, wanted: EndpointCreate) -> tuple[EndpointRow, list[Doc]]:
        self._parts.operations.check_free(project["id"])
        if wanted.region_id not in (None, project["doc"]["region_id"]):
            raise api_error(400, "only the project's region_id is permitted")
        row = self.new(project, branch, wanted)
        return row, self._parts.operations.schedule(project["id"], self.start_step(row))

    def update(self, row: EndpointRow, wanted: EndpointUpdate) -> list[Doc]:
        self._parts.operations.check_free(row["project"])
        given = wanted.model_dump(exclude_none=True)
        if (branch := given.pop("branch_id", row["branch"])) != row["branch"]:
            raise api_error(422, f"the endpoint cannot be moved to branch {branch}: branch_id is deprecated")
        if "settings" in given:
            given["settings"] = {**row["doc"]["settings"], **given["settings"]}
        low = given.get("autoscaling_limit_min_cu", row["doc"]["autoscaling_limit_min_cu"])
        high = given.get("autoscaling_limit_max_cu", row["doc"]["autoscaling_limit_max_cu"])
        if low > high:
            raise api_error(422, "autoscaling_limit_min_cu cannot exceed autoscaling_limit_max_cu")
        if not given:
            return []
        disables = bool(given.get("disabled")) and not row["doc"]["disabled"]
        row["doc"] = {**row["doc"], **given, "updated_at": timestamp(self._parts.site.clock())}
        self._tables.endpoints.put(row)
        work = {"do": "apply_endpoint", "endpoint": row["id"]}
        steps = [Step("apply_config", row["branch"], row["id"], work)]
        if disables and row["doc"]["current_state"] == "active":
            steps.append(self.suspend_step(row))
        return self._parts.operations.schedule(row["project"], *steps)

    def delete(self, row: EndpointRow) -> list[Doc]:
        self._parts.operations.check_free(row["project"])
        row["deleted_at"] = self._parts.site.clock().isoformat()
        self._tables.endpoints.put(row)
        work = {"do": "remove_endpoint", "endpoint": row["id"]}
        return self._parts.operations.schedule(row["project"], Step("suspend_compute", row["branch"], row["id"], work))

    def start(self, row: EndpointRow) -> list[Doc]:
        self._parts.operations.check_free(row["project"])
        project = self._tables.projects.get(row["project"])
        if project is not None and project["blocked"]:
            raise api_error(402, SAID[project["blocked"]])
        if row["doc"]["disabled"]:
            raise api_error(422, "the endpoint is disabled")
        if row["doc"]["current_state"] == "active":
            return []
        return self._parts.operations.schedule(row["project"], self.start_step(row))

    def suspend(self, row: EndpointRow) -> list[Doc]:
        self._parts.operations.check_free(row["project"])
        if row["doc"]["current_state"] == "idle":
            return []
        return self._parts.operations.schedule(row["project"], self.suspend_step(row))

    def restart(self, row: EndpointRow) -> list[Doc]:
        self._parts.operations.check_free(row["project"])
        if row["doc"]["disabled"]:
            raise api_error(422, "the endpoint is disabled")
        return self._parts.operations.schedule(row["project"], self.suspend_step(row), self.start_step(row))

    def start_step(self, row: EndpointRow) -> Step:
        return Step("start_compute", row["branch"], row["id"], {"do": "start", "endpoint": row["id"]})

    def suspend_step(self, row: EndpointRow) -> Step:
        return Step("suspend_compute", row["branch"], row["id"], {"do": "suspend", "endpoint": row["id"]})

    def _branch(self, row: EndpointRow) -> BranchRow:
        branch = self._tables.branches.get(row["branch"])
        if branch is None:
            raise not_found("branch")
        return branch

    async def _start(self, work: Doc) -> None:
        row = self._tables.endpoints.get(work["endpoint"])
        if row is not None and not row["deleted_at"]:
            await self._parts.logins.settle(self._branch(row))
            if not row["doc"]["disabled"]:
                self._parts.computes.started(row, self._parts.site.clock())

    async def _suspend(self, work: Doc) -> None:
        row = self._tables.endpoints.get(work["endpoint"])
        if row is None:
            return
        branch = self._branch(row)
        self._parts.computes.stopped(row, self._parts.site.clock())
        await self._parts.logins.hang_up(branch, self._parts.logins.through(branch, row))

    async def _apply(self, work: Doc) -> None:
        row = self._tables.endpoints.get(work["endpoint"])
        if row is None:
            return
        branch = self._branch(row)
        await self._parts.logins.settle(branch)
        if row["doc"]["disabled"]:
            await self._parts.logins.hang_up(branch, self._parts.logins.through(branch, row))

    async def _remove(self, work: Doc) -> None:
        row = self._tables.endpoints.get(work["endpoint"])
        if row is None:
            return
        branch = self._branch(row)
        self._parts.computes.stopped(row, self._parts.site.clock())
        logins = self._parts.logins.through(branch, row)
        await self._parts.logins.settle(branch)
        await self._parts.logins.hang_up(branch, logins)
        self._parts.trash.endpoint(row)
