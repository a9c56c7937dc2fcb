"""Branches: copies of a branch's databases, with the roles and passwords it has, under names of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from server.twins.neon import cluster_databases as databases
from server.twins.neon import cluster_roles as roles
from server.twins.neon import documents, names
from server.twins.neon.documents import moment, timestamp
from server.twins.neon.errors import api_error, exists, limit_exceeded, not_found
from server.twins.neon.history import data_at
from server.twins.neon.names import in_cluster
from server.twins.neon.operations import Step
from server.twins.neon.rows import BranchRow, copied, renumbered

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.twins.neon.bodies import CreateBranchBody
    from server.twins.neon.endpoints import Endpoints
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import Data, Doc, EndpointRow, ProjectRow, RoleRow

RECOVERY = timedelta(days=7)


class Branches:
    def __init__(self, parts: Parts, endpoints: Endpoints) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._endpoints = endpoints
        parts.operations.register("copy", self._copy)
        parts.operations.register("settle", self._settle)

    def get(self, project: str, branch: str) -> BranchRow:
        row = self._tables.branches.get(branch)
        if row is None or row["project"] != project or row["status"] == "deleted":
            raise not_found("branch")
        return row

    def all(self, project: str, *, deleted: bool = False) -> list[BranchRow]:
        """`deleted`: those too that can be had back."""
        rows = self._tables.branches.by("project", project)
        return [row for row in rows if row["status"] != "deleted" or (deleted and self.recoverable(row))]

    def recoverable(self, row: BranchRow) -> bool:
        return row["status"] == "deleted" and self._parts.site.clock() < moment(row["deleted_at"]) + RECOVERY

    def default(self, project: str) -> BranchRow:
        return next(row for row in self.all(project) if row["doc"]["default"])

    def children(self, branch: BranchRow) -> list[BranchRow]:
        return [row for row in self.all(branch["project"]) if row["doc"].get("parent_id") == branch["id"]]

    async def create(
        self, project: ProjectRow, wanted: CreateBranchBody
    ) -> tuple[BranchRow, list[EndpointRow], list[Doc]]:
        asked = wanted.branch
        self._parts.operations.check_free(project["id"])
        parent = self.get(project["id"], asked.parent_id) if asked.parent_id else self.default(project["id"])
        self.check_room(project, asked.name)
        if sum(options.type == "read_write" for options in wanted.endpoints) > 1:
            raise exists("read_write endpoint")
        source = data_at(self._parts.site, self._tables, parent, asked.parent_lsn, asked.parent_timestamp)
        schema_only = asked.init_source == "schema-only"
        at = timestamp(self._parts.site.clock())
        more: Doc = {
            "init_source": asked.init_source,
            "protected": asked.protected,
            **expiry(asked.expires_at, self._parts.site.clock()),
        }
        if not schema_only:
            when = asked.parent_timestamp.astimezone(UTC) if asked.parent_timestamp else self._parts.site.clock()
            lsn = asked.parent_lsn or await self.position()
            more |= {"parent_id": parent["id"], "parent_lsn": lsn, "parent_timestamp": timestamp(when)}
        row = self.new(project, asked.name, source, **more)
        if parent["doc"]["protected"]:
            await self._give_new_passwords(project, row)
        row["annotation"] = annotation(row["id"], wanted.annotation_value, at)
        self._tables.branches.put(row)
        endpoints = [self._endpoints.new(project, row, options) for options in wanted.endpoints]
        work = {"do": "copy", "branch": row["id"], "from": source["scope"], "schema_only": schema_only}
        steps = [Step("create_branch", row["id"], work=work)]
        steps += [self._endpoints.start_step(endpoint) for endpoint in endpoints]
        return row, endpoints, self._parts.operations.schedule(project["id"], *steps)

    def check_room(self, project: ProjectRow, name: str | None) -> None:
        """Raises where one more branch, or one of this name, cannot be."""
        there = self.all(project["id"])
        limit = self._parts.accounts.plan(project["org"]).branches
        if len(there) >= limit:
            raise limit_exceeded("branches", "project", limit, len(there))
        self.check_name(project["id"], name)

    def check_name(self, project: str, name: str | None) -> None:
        if name is not None and any(row["doc"]["name"] == name for row in self.all(project)):
            raise exists("branch", branch_name=name)

    def new(self, project: ProjectRow, name: str | None, source: Data, **more: object) -> BranchRow:
        """Not yet put: the data of `source`, to be copied."""
        branch_id, at = names.branch_id(), timestamp(self._parts.site.clock())
        doc = documents.branch(branch_id, project["id"], name or branch_id, at, **more)
        doc |= {"current_state": "init", "pending_state": "ready"}
        return BranchRow(
            id=branch_id,
            project=project["id"],
            status="ready",
            scope=branch_id,
            doc=doc,
            annotation=annotation(branch_id, {}, at),
            roles=copied(source["roles"]),
            databases=renumbered(source["databases"]),
            deleted_at="",
            deletion_method="",
            full=False,
            sizes={},
            counters={},
            still_since="",
        )

    def touch(self, row: BranchRow) -> None:
        row["doc"]["updated_at"] = timestamp(self._parts.site.clock())
        self._tables.branches.put(row)

    @staticmethod
    def recoverable_until(deleted_at: str) -> str:
        return timestamp(moment(deleted_at) + RECOVERY)

    async def position(self) -> str:
        async with self._parts.cluster.session() as session:
            return await databases.position(session)

    async def _give_new_passwords(self, project: ProjectRow, row: BranchRow) -> None:
        """As Neon does for branches of a protected branch."""
        for role in row["roles"]:
            await self.set_password(project, row, role, names.password())

    async def set_password(self, project: ProjectRow, row: BranchRow, role: RoleRow, password: Secret) -> None:
        """Written down, not yet on the cluster."""
        async with self._parts.cluster.session() as session:
            login = in_cluster(role["name"], row["scope"])
            role["verifier"] = roles.verifier(session, login, password)
        role["password"] = password.reveal() if project["doc"]["store_passwords"] else ""
        role["updated_at"] = timestamp(self._parts.site.clock())

    async def _copy(self, work: Doc) -> None:
        row = self._tables.branches.get(work["branch"])
        if row is None or row["status"] == "deleted":
            return
        pairs = [(in_cluster(d["name"], work["from"]), in_cluster(d["name"], row["scope"])) for d in row["databases"]]
        await self._parts.copies.make(pairs, schema_only=work["schema_only"])
        await self._parts.logins.settle(row)
        self.ready(row)

    async def _settle(self, work: Doc) -> None:
        row = self._tables.branches.get(work["branch"])
        if row is None:
            return
        await self._parts.logins.settle(row)
        if login := work.get("hang_up"):
            await self._parts.logins.hang_up(row, [login])
        self.ready(row)

    def ready(self, row: BranchRow) -> None:
        if row["doc"]["current_state"] != "ready":
            at = timestamp(self._parts.site.clock())
            row["doc"] = {k: v for k, v in row["doc"].items() if k != "pending_state"}
            row["doc"] |= {"current_state": "ready", "state_changed_at": at}
            self._tables.branches.put(row)


def annotation(branch: str, value: Doc, at: str) -> Doc:
    shown = {"object": {"type": "console/branch", "id": branch}, "value": value}
    return {**shown, "created_at": at, "updated_at": at} if value else shown


def expiry(when: datetime | None, now: datetime) -> Doc:
    """Raises 422 for a moment that is over."""
    if when is None:
        return {}
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    seconds = round((when - now).total_seconds())
    if seconds <= 0:
        raise api_error(422, "expires_at must be in the future")
    return {"expires_at": timestamp(when.astimezone(UTC)), "ttl_interval_seconds": seconds}
