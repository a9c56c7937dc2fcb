"""What was deleted: kept for as long as it can be recovered, then dropped, always behind the requests.

A database in which nobody ever made anything is not kept: recovering it makes the same one again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.twins.neon import cluster_databases as databases
from server.twins.neon import cluster_roles as roles
from server.twins.neon.branches import RECOVERY
from server.twins.neon.documents import moment
from server.twins.neon.names import in_cluster
from server.twins.neon.rows import TrashRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.core import Site
    from server.twins.neon.cluster import Cluster
    from server.twins.neon.logins import Logins
    from server.twins.neon.rows import BranchRow, EndpointRow, ProjectRow, SnapshotRow
    from server.twins.neon.tables import Tables


class Trash:
    def __init__(self, site: Site, tables: Tables, cluster: Cluster, logins: Logins) -> None:
        self._site = site
        self._tables = tables
        self._cluster = cluster
        self._logins = logins
        self.wake: Callable[[], None] = lambda: None
        """Have `empty` run soon."""
        self._looked: set[str] = set()
        self.alone = asyncio.Lock()
        """Held while a deleted branch is looked at and thinned out; recovering one waits for that."""

    def add(self, kind: str, *names: str) -> None:
        for name in names:
            self._tables.trash.put(TrashRow(id=f"{kind}:{name}", kind=kind))

    def branch(self, row: BranchRow) -> None:
        """For good."""
        scopes = [row["scope"], *(each["id"] for each in self._tables.endpoints.by("branch", row["id"]))]
        logins = [in_cluster(role["name"], scope) for scope in scopes for role in row["roles"]]
        owners = [in_cluster(role["name"], row["project"]) for role in row["roles"]]
        self.add("database", *self._logins.databases_of(row))
        self.add("role", *(login for login in logins if login not in owners))
        for endpoint in self._tables.endpoints.by("branch", row["id"]):
            self._tables.endpoints.delete(endpoint["id"])
        self._tables.branches.delete(row["id"])
        self.wake()

    def endpoint(self, row: EndpointRow) -> None:
        branch = self._tables.branches.get(row["branch"])
        if branch is not None and row["doc"]["type"] == "read_only":
            self.add("role", *(in_cluster(role["name"], row["id"]) for role in branch["roles"]))
        self._tables.endpoints.delete(row["id"])
        self.wake()

    def snapshot(self, row: SnapshotRow) -> None:
        self.add("database", *(in_cluster(each["name"], row["scope"]) for each in row["databases"]))
        self._tables.snapshots.delete(row["id"])
        self.wake()

    def project(self, row: ProjectRow) -> None:
        """For good, with everything in it."""
        for snapshot in self._tables.snapshots.by("project", row["id"]):
            self.snapshot(snapshot)
        branches = self._tables.branches.by("project", row["id"])
        self.add("role", *{in_cluster(role["name"], row["id"]) for each in branches for role in each["roles"]})
        for branch in branches:
            self.branch(branch)
        for table in (self._tables.operations, self._tables.usage, self._tables.transfers, self._tables.keys):
            for each in table.by("project", row["id"]):
                table.delete(each["id"])
        self._tables.projects.delete(row["id"])

    async def empty(self) -> None:
        """Drop what is to be dropped. May be cut short, and is then done again."""
        for project in [row for row in self._tables.projects.all() if row["status"] == "deleted"]:
            if self._over(project["deleted_at"]):
                self.project(project)
            else:
                for branch in self._tables.branches.by("project", project["id"]):
                    await self._thin_out(branch)
        for branch in [row for row in self._tables.branches.all() if row["status"] == "deleted"]:
            if self._over(branch["deleted_at"]):
                self.branch(branch)
            else:
                await self._thin_out(branch)
        for kind in ("database", "role"):
            for row in [row for row in self._tables.trash.all() if row["kind"] == kind]:
                await self._drop(row)

    def _over(self, deleted_at: str) -> bool:
        return not deleted_at or moment(deleted_at) + RECOVERY <= self._site.clock()

    async def _thin_out(self, branch: BranchRow) -> None:
        deletion = f"{branch['id']}~{self._deleted_at(branch)}"
        if deletion in self._looked:
            return
        async with self.alone:
            if not self._deleted_at(branch):
                return
            async with self._cluster.session() as session:
                there = await databases.existing(session, self._logins.databases_of(branch))
            for name in there:
                async with self._cluster.session(name) as session:
                    unused = await databases.untouched(session)
                await self._cluster.forget(name)
                if unused:
                    await self._drop(TrashRow(id=f"database:{name}", kind="database"))
            self._looked.add(deletion)

    def _deleted_at(self, branch: BranchRow) -> str:
        """When it was deleted, alone or with its project; empty while it is there."""
        project = self._tables.projects.get(branch["project"])
        return branch["deleted_at"] or (project["deleted_at"] if project else "")

    async def _drop(self, row: TrashRow) -> None:
        name = row["id"].partition(":")[2]
        async with self._cluster.making, self._cluster.session() as session:
            if row["kind"] == "database":
                await databases.drop(session, name)
            elif not await roles.drop(session, name):
                return
        self._tables.trash.delete(row["id"])
