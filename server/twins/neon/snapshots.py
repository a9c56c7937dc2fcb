"""Snapshots: copies of a branch's databases that nobody can connect to. Source: Neon API v2, Snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.twins.neon import cluster_databases as databases
from server.twins.neon import names
from server.twins.neon.bodies import EndpointOptions
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import api_error, limit_exceeded, not_found
from server.twins.neon.history import data_at
from server.twins.neon.names import in_cluster
from server.twins.neon.operations import Step
from server.twins.neon.rows import SnapshotRow, copied, renumbered

if TYPE_CHECKING:
    from server.twins.neon.bodies import RestoreSnapshotBody
    from server.twins.neon.branches import Branches
    from server.twins.neon.endpoints import Endpoints
    from server.twins.neon.parts import Parts
    from server.twins.neon.restores import Restores
    from server.twins.neon.rows import BranchRow, Doc, EndpointRow, ProjectRow


class Snapshots:
    def __init__(self, parts: Parts, branches: Branches, endpoints: Endpoints, restores: Restores) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._branches = branches
        self._endpoints = endpoints
        self._restores = restores
        parts.operations.register("snapshot", self._take)

    def get(self, project: str, snapshot: str) -> SnapshotRow:
        row = self._tables.snapshots.get(snapshot)
        if row is None or row["project"] != project:
            raise not_found("snapshot")
        return row

    async def create(
        self,
        project: ProjectRow,
        branch: BranchRow,
        *,
        name: str | None,
        lsn: str | None,
        when: datetime | None,
        expires_at: datetime | None,
    ) -> tuple[SnapshotRow, list[Doc]]:
        self._parts.operations.check_free(project["id"])
        if "parent_id" in branch["doc"]:
            raise api_error(422, "snapshots can only be created from root branches")
        limit = self._parts.accounts.plan(project["org"]).snapshots
        if (have := len(self._tables.snapshots.by("project", project["id"]))) >= limit:
            raise limit_exceeded("snapshots", "project", limit, have)
        now = self._parts.site.clock()
        if expires_at and expires_at <= now:
            raise api_error(422, "expires_at must be in the future")
        source = data_at(self._parts.site, self._tables, branch, lsn, when)
        at = timestamp((when or now).astimezone(UTC))
        doc: Doc = {
            "id": names.snapshot_id(),
            "name": name or f"{branch['doc']['name']} at {now:%Y-%m-%d %H:%M:%S} UTC (manual)",
            "lsn": lsn or await self._branches.position(),
            "timestamp": at,
            "source_branch_id": branch["id"],
            "created_at": timestamp(now),
            **({"expires_at": timestamp(expires_at.astimezone(UTC))} if expires_at else {}),
            "manual": True,
        }
        row = SnapshotRow(
            id=doc["id"],
            project=project["id"],
            doc=doc,
            scope=doc["id"],
            roles=copied(source["roles"]),
            databases=renumbered(source["databases"]),
        )
        self._tables.snapshots.put(row)
        work = {"do": "snapshot", "snapshot": row["id"], "from": source["scope"]}
        return row, self._parts.operations.schedule(project["id"], Step("create_branch", branch["id"], work=work))

    async def _take(self, work: Doc) -> None:
        row = self._tables.snapshots.get(work["snapshot"])
        if row is None:
            return
        pairs = [(in_cluster(d["name"], work["from"]), in_cluster(d["name"], row["scope"])) for d in row["databases"]]
        await self._parts.copies.make(pairs)
        async with self._parts.cluster.session() as session:
            for _, name in pairs:
                await databases.shut(session, name)
            sizes = await databases.sizes(session, [name for _, name in pairs])
        row["doc"]["full_size"] = sum(sizes.values())
        self._tables.snapshots.put(row)

    def rename(self, row: SnapshotRow, name: str | None) -> None:
        if name:
            row["doc"]["name"] = name
            self._tables.snapshots.put(row)

    def delete(self, row: SnapshotRow) -> list[Doc]:
        """Out of reach at once; its databases are dropped behind the answer."""
        self._parts.operations.check_free(row["project"])
        self._parts.trash.snapshot(row)
        return self._parts.operations.over(row["project"], Step("delete_timeline"))

    async def restore(
        self, project: ProjectRow, row: SnapshotRow, wanted: RestoreSnapshotBody
    ) -> tuple[BranchRow, list[EndpointRow], list[Doc]]:
        """A new root branch, with a compute to look at it; or, finalized, in the place of the one it is for."""
        self._parts.operations.check_free(project["id"])
        original = self._branches.get(project["id"], wanted.target_branch_id or row["doc"]["source_branch_id"])
        now = self._parts.site.clock()
        name = wanted.name or f"{original['doc']['name']}_from_snapshot_{now:%Y-%m-%d_%H-%M-%S-%f}"
        self._branches.check_room(project, name)
        status = {"restored_from": row["id"], "restored_as": original["id"], "restore_status": "restored"}
        branch = self._branches.new(project, name, row, **status)
        self._tables.branches.put(branch)
        work = {"do": "copy", "branch": branch["id"], "from": row["scope"], "schema_only": False}
        steps = [Step("create_branch", branch["id"], work=work)]
        if wanted.finalize_restore:
            steps += await self._restores.exchange_steps(branch, original, None)
            endpoints = self._parts.logins.endpoints(original["id"])
        else:
            endpoints = [self._endpoints.new(project, branch, EndpointOptions(type="read_write"))]
            steps += [self._endpoints.start_step(endpoint) for endpoint in endpoints]
        return branch, endpoints, self._parts.operations.schedule(project["id"], *steps)

    def expire(self) -> None:
        """Delete those whose time has come, unless their project is busy: then the next time."""
        now = timestamp(self._parts.site.clock())
        for row in self._tables.snapshots.all():
            if row["doc"].get("expires_at", "9999") <= now and not self._parts.operations.busy(row["project"]):
                self._parts.trash.snapshot(row)
