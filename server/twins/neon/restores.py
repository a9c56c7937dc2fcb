"""Restoring: a branch takes the data of another, of its own past or of a snapshot, and keeps its connection strings.

A connection string leads to names on the cluster, and these end with the branch's scope. So the data is copied
beside, and then the names are exchanged in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.neon import cluster_databases as databases
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import api_error, not_found
from server.twins.neon.history import data_at
from server.twins.neon.names import in_cluster
from server.twins.neon.operations import Step
from server.twins.neon.rows import copied, renumbered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.neon.bodies import RestoreBranchBody
    from server.twins.neon.branches import Branches
    from server.twins.neon.endpoints import Endpoints
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import BranchRow, Data, Doc, ProjectRow


class Restores:
    def __init__(self, parts: Parts, branches: Branches, endpoints: Endpoints) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._branches = branches
        self._endpoints = endpoints
        parts.operations.register("restore", self._restore)
        parts.operations.register("exchange", self._exchange)

    async def restore(self, project: ProjectRow, target: BranchRow, wanted: RestoreBranchBody) -> list[Doc]:
        """`target` becomes what the source is, or was; its own state can be kept as a branch of another name."""
        self._parts.operations.check_free(project["id"])
        source = self._branches.get(project["id"], wanted.source_branch_id)
        itself = source["id"] == target["id"]
        if itself and not (wanted.source_lsn or wanted.source_timestamp):
            raise api_error(400, "source_timestamp or source_lsn is required to restore a branch to its own history")
        if (itself or self._branches.children(target)) and not wanted.preserve_under_name:
            raise api_error(400, "preserve_under_name is required: the branch has children, or is its own source")
        data = data_at(self._parts.site, self._tables, source, wanted.source_lsn, wanted.source_timestamp)
        if itself and data is target:
            raise api_error(422, "the branch has not changed since then")
        kept = self._keep(project, target, wanted.preserve_under_name) if wanted.preserve_under_name else None
        at = timestamp(self._parts.site.clock())
        work: Doc = {
            "do": "restore",
            "branch": target["id"],
            "kept": kept["id"] if kept else "",
            "data": {"scope": data["scope"], "roles": data["roles"], "databases": data["databases"]},
            "before": await self._identities(self._parts.logins.databases_of(target)),
        }
        target["doc"] |= {
            "parent_id": kept["id"] if itself and kept else source["id"],
            "parent_lsn": wanted.source_lsn or await self._branches.position(),
            "parent_timestamp": timestamp(wanted.source_timestamp) if wanted.source_timestamp else at,
            "current_state": "resetting",
            "pending_state": "ready",
            "state_changed_at": at,
            "last_reset_at": at,
        }
        self._branches.touch(target)
        running = [e for e in self._parts.logins.endpoints(target["id"]) if e["doc"]["current_state"] == "active"]
        steps = [self._endpoints.suspend_step(endpoint) for endpoint in running]
        steps.append(Step("create_branch", target["id"], work=work))
        steps += [] if kept else [Step("delete_timeline", target["id"])]
        steps += [self._endpoints.start_step(endpoint) for endpoint in running]
        return self._parts.operations.schedule(project["id"], *steps)

    def _keep(self, project: ProjectRow, target: BranchRow, name: str) -> BranchRow:
        """The branch that takes over the state there is now, and with it the place in the tree."""
        self._branches.check_room(project, name)
        lineage = {k: v for k, v in target["doc"].items() if k in ("parent_id", "parent_lsn", "parent_timestamp")}
        kept = self._branches.new(project, name, target, **lineage)
        self._tables.branches.put(kept)
        for child in self._branches.children(target):
            if child is not kept:
                child["doc"]["parent_id"] = kept["id"]
                self._tables.branches.put(child)
        return kept

    async def _restore(self, work: Doc) -> None:
        target = self._tables.branches.get(work["branch"])
        if target is None:
            return
        data: Data = work["data"]
        kept = self._tables.branches.get(work["kept"])
        names = self._parts.logins.databases_of(target)
        if await self._identities(names) == work["before"]:
            fresh = {in_cluster(d["name"], "new-" + target["scope"]): d["name"] for d in data["databases"]}
            pairs = [
                (in_cluster(d["name"], data["scope"]), new) for d, new in zip(data["databases"], fresh, strict=True)
            ]
            away = kept["scope"] if kept else "old-" + target["scope"]
            old = {in_cluster(d["name"], target["scope"]): in_cluster(d["name"], away) for d in target["databases"]}
            await self._parts.copies.make(pairs)
            await self._parts.copies.rename(
                {**old, **{new: in_cluster(n, target["scope"]) for new, n in fresh.items()}}
            )
            if not kept:
                self._parts.trash.add("database", *old.values())
                self._parts.trash.wake()
        target["roles"], target["databases"] = copied(data["roles"]), renumbered(data["databases"])
        target["counters"], target["sizes"] = {}, {}
        for branch in (target, kept):
            if branch is not None:
                await self._parts.logins.settle(branch)
                self._branches.ready(branch)

    async def finalize(self, project: ProjectRow, restored: BranchRow, name: str | None) -> list[Doc]:
        """A branch restored from a snapshot takes the place of the one it was restored for."""
        self._parts.operations.check_free(project["id"])
        if restored["doc"].get("restore_status") != "restored":
            raise api_error(422, "the branch was not restored from a snapshot, or its restore is finalized")
        original = self._tables.branches.get(restored["doc"]["restored_as"])
        if original is None or original["status"] != "ready":
            raise not_found("the branch to be replaced")
        self._branches.check_name(project["id"], name)
        return self._parts.operations.schedule(project["id"], *await self.exchange_steps(restored, original, name))

    async def exchange_steps(self, restored: BranchRow, original: BranchRow, name: str | None) -> list[Step]:
        moving = self._parts.logins.endpoints(original["id"])
        renames = {
            in_cluster(d["name"], scope): in_cluster(d["name"], other)
            for branch, scope, other in (
                (original, original["scope"], restored["scope"]),
                (restored, restored["scope"], original["scope"]),
            )
            for d in branch["databases"]
        }
        work: Doc = {
            "do": "exchange",
            "restored": restored["id"],
            "original": original["id"],
            "scope": original["scope"],
            "renames": renames,
            "before": await self._identities(self._parts.logins.databases_of(original)),
            "name": name or self._free_name(original),
        }
        running = [endpoint for endpoint in moving if endpoint["doc"]["current_state"] == "active"]
        steps = [self._endpoints.suspend_step(endpoint) for endpoint in running]
        steps.append(Step("apply_config", restored["id"], work=work))
        return steps + [self._endpoints.start_step(endpoint) for endpoint in running]

    def _free_name(self, original: BranchRow) -> str:
        taken = {row["doc"]["name"] for row in self._branches.all(original["project"])}
        name = f"{original['doc']['name']} (old)"
        number = 1
        while name in taken:
            number += 1
            name = f"{original['doc']['name']} (old {number})"
        return name

    async def _exchange(self, work: Doc) -> None:
        restored, original = (self._tables.branches.get(work[name]) for name in ("restored", "original"))
        if restored is None or original is None:
            return
        if original["scope"] == work["scope"]:
            if await self._identities(self._parts.logins.databases_of(original)) == work["before"]:
                await self._parts.copies.rename(work["renames"])
            self._trade_places(restored, original, work["name"])
        for branch in (restored, original):
            await self._parts.logins.settle(branch)
            self._branches.ready(branch)

    def _trade_places(self, restored: BranchRow, original: BranchRow, name: str) -> None:
        """Scopes, computes, name and standing."""
        restored["scope"], original["scope"] = original["scope"], restored["scope"]
        theirs, ours = self._parts.logins.endpoints(original["id"]), self._parts.logins.endpoints(restored["id"])
        for endpoints, branch in ((theirs, restored), (ours, original)):
            for endpoint in endpoints:
                endpoint["branch"] = endpoint["doc"]["branch_id"] = branch["id"]
                self._tables.endpoints.put(endpoint)
        restored["doc"] |= {k: original["doc"][k] for k in ("name", "default", "primary", "protected")}
        restored["doc"]["restore_status"] = "finalized"
        original["doc"] |= {"name": name, "default": False, "primary": False, "protected": False}
        for branch in (restored, original):
            branch["counters"], branch["sizes"] = {}, {}
            self._branches.touch(branch)

    async def _identities(self, names: list[str]) -> Mapping[str, int]:
        async with self._parts.cluster.session() as session:
            return await databases.identities(session, names)
