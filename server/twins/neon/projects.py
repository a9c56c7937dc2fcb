"""Projects: made from a spare database, changed, deleted and recovered, handed to another organization.

An intent is written down before the cluster is touched. A project that was being made when the twin died was
never answered for, so it is dropped on the next start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core import ids
from server.twins.neon import documents, names
from server.twins.neon.bodies import EndpointOptions
from server.twins.neon.branches import RECOVERY, annotation
from server.twins.neon.documents import moment, timestamp
from server.twins.neon.errors import limit_exceeded, not_found
from server.twins.neon.names import in_cluster
from server.twins.neon.operations import Step
from server.twins.neon.rows import BranchRow, DatabaseRow, EndpointRow, ProjectRow, RoleRow

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.twins.neon.accounts import Caller
    from server.twins.neon.bodies import ProjectCreate, ProjectUpdate
    from server.twins.neon.branches import Branches
    from server.twins.neon.endpoints import Endpoints
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import Doc, OrganizationRow


class Projects:
    def __init__(self, parts: Parts, branches: Branches, endpoints: Endpoints) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._branches = branches
        self._endpoints = endpoints

    def resume(self) -> None:
        """Decide about what an interrupted run left; the dropping itself is a chore."""
        for row in self._tables.projects.all():
            if row["status"] == "creating":
                self._abandon(row)

    async def create(
        self, wanted: ProjectCreate, org: OrganizationRow
    ) -> tuple[ProjectRow, BranchRow, EndpointRow, Secret, list[Doc]]:
        have = sum(row["status"] != "deleted" for row in self._tables.projects.by("org", org["id"]))
        if have >= org["projects_limit"]:
            raise limit_exceeded("projects", "organization", org["projects_limit"], have)
        now = self._parts.site.clock()
        project_id = names.project_id()
        plan = self._parts.accounts.plan(org["id"])
        major = self._parts.cluster.server.major
        doc = documents.project(project_id, wanted, org=org["id"], plan=plan, major=major, now=now)
        project = ProjectRow(
            id=project_id,
            position=f"{now.isoformat(timespec='microseconds')}~{project_id}",
            status="creating",
            org=org["id"],
            doc=doc,
            deleted_at="",
            blocked="",
        )
        branch = self._first_branch(project, wanted)
        self._tables.projects.put(project)
        self._tables.branches.put(branch)
        password = names.password()
        role, database = branch["roles"][0], branch["databases"][0]
        try:
            role["verifier"] = await self._parts.cluster.claim(
                in_cluster(role["name"], project_id), in_cluster(database["name"], project_id), password
            )
        except BaseException:
            self._abandon(project)
            raise
        role["password"] = password.reveal() if wanted.store_passwords else ""
        endpoint = self._endpoints.new(project, branch, EndpointOptions(type="read_write"))
        self._parts.computes.started(endpoint, now)
        branch["status"] = project["status"] = "ready"
        self._tables.branches.put(branch)
        self._tables.projects.put(project)
        took = round((self._parts.site.clock() - now).total_seconds() * 1000)
        steps = (Step("create_timeline", branch["id"]), Step("start_compute", branch["id"], endpoint["id"]))
        return project, branch, endpoint, password, self._parts.operations.over(project_id, *steps, milliseconds=took)

    def _first_branch(self, project: ProjectRow, wanted: ProjectCreate) -> BranchRow:
        branch_id, at = names.branch_id(), project["doc"]["created_at"]
        doc = documents.branch(branch_id, project["id"], wanted.branch.name or "main", at, default=True, primary=True)
        database = wanted.branch.database_name or "neondb"
        role = wanted.branch.role_name or f"{database}_owner"
        since = {"created_at": at, "updated_at": at}
        return BranchRow(
            id=branch_id,
            project=project["id"],
            status="creating",
            scope=project["id"],
            doc=doc,
            annotation=annotation(branch_id, dict(wanted.branch.annotations or {}), at),
            roles=[RoleRow(name=role, no_login=False, verifier="", password="", **since)],
            databases=[DatabaseRow(id=ids.number(), name=database, owner=role, **since)],
            deleted_at="",
            deletion_method="",
            full=False,
            sizes={},
            counters={},
            still_since="",
        )

    def get(self, caller: Caller, project: str) -> ProjectRow:
        """One the caller may see; for everybody else it is not there."""
        row = self._tables.projects.get(project)
        if row is None or row["status"] != "ready" or not self._may_see(caller, row):
            raise not_found("project")
        return row

    def of(self, org: str, *, deleted: bool = False) -> list[ProjectRow]:
        """Those of an organization, oldest first; or those of it that can be recovered."""
        rows = self._tables.projects.by("org", org)
        wanted = [row for row in rows if row["status"] == ("deleted" if deleted else "ready")]
        if deleted:
            now = self._parts.site.clock()
            wanted = [row for row in wanted if row["deleted_at"] and moment(row["deleted_at"]) + RECOVERY > now]
        return sorted(wanted, key=lambda row: row["position"])

    def update(self, row: ProjectRow, wanted: ProjectUpdate) -> None:
        given = wanted.model_dump(exclude_none=True)
        for name in ("settings", "default_endpoint_settings"):
            if name in given:
                given[name] = {**row["doc"][name], **given[name]}
        row["doc"] = {**row["doc"], **given, "updated_at": timestamp(self._parts.site.clock())}
        self._tables.projects.put(row)

    async def delete(self, row: ProjectRow) -> None:
        """Out of reach at once; dropped when it can no longer be recovered."""
        self._parts.operations.check_free(row["id"])
        row["status"], row["deleted_at"] = "deleted", self._parts.site.clock().isoformat()
        self._tables.projects.put(row)
        try:
            for branch in self._branches.all(row["id"]):
                for endpoint in self._parts.logins.endpoints(branch["id"]):
                    self._parts.computes.stopped(endpoint, self._parts.site.clock())
                await self._parts.logins.shut(branch)
        finally:
            self._parts.trash.wake()

    async def recover(self, row: ProjectRow) -> None:
        """With its branches, computes and connection strings."""
        row["status"], row["deleted_at"] = "ready", ""
        self._tables.projects.put(row)
        async with self._parts.trash.alone:
            for branch in self._branches.all(row["id"]):
                await self._parts.logins.settle(branch)

    def deleted(self, caller: Caller, project: str) -> ProjectRow:
        row = self._tables.projects.get(project)
        if row is None or not self._may_see(caller, row) or row not in self.of(row["org"], deleted=True):
            raise not_found("project")
        return row

    def move(self, row: ProjectRow, org: str) -> None:
        """To another organization; keys of the old one no longer open it."""
        row["org"] = row["doc"]["org_id"] = org
        row["doc"]["updated_at"] = timestamp(self._parts.site.clock())
        self._tables.projects.put(row)
        for transfer in self._tables.transfers.by("project", row["id"]):
            self._tables.transfers.delete(transfer["id"])

    def _may_see(self, caller: Caller, row: ProjectRow) -> bool:
        if caller.project:
            return caller.project == row["id"]
        return any(row["org"] == org["id"] for org in self._parts.accounts.organizations(caller))

    def _abandon(self, row: ProjectRow) -> None:
        """It was never answered for: nothing of it is kept."""
        row["status"], row["deleted_at"] = "deleted", ""
        self._tables.projects.put(row)
        self._parts.trash.wake()
