"""Branches renamed, protected, made the default, deleted and recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.neon.branches import expiry
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import api_error, not_found
from server.twins.neon.operations import Step

if TYPE_CHECKING:
    from server.twins.neon.bodies import BranchUpdate
    from server.twins.neon.branches import Branches
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import BranchRow, Doc


class BranchChanges:
    def __init__(self, parts: Parts, branches: Branches) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._branches = branches
        parts.operations.register("shut_branch", self._shut)
        parts.operations.register("recover_branch", self._recover)

    def update(self, row: BranchRow, wanted: BranchUpdate) -> None:
        given = wanted.model_fields_set
        if wanted.name is not None and wanted.name != row["doc"]["name"]:
            self._branches.check_name(row["project"], wanted.name)
            row["doc"]["name"] = wanted.name
        if wanted.protected is not None:
            row["doc"]["protected"] = wanted.protected
        if "expires_at" in given:
            for name in ("expires_at", "ttl_interval_seconds"):
                row["doc"].pop(name, None)
            if wanted.expires_at and (row["doc"]["default"] or row["doc"]["protected"] or self._branches.children(row)):
                raise api_error(422, "a default or protected branch, or one with children, cannot expire")
            row["doc"] |= expiry(wanted.expires_at, self._parts.site.clock())
        self._branches.touch(row)

    def set_default(self, row: BranchRow) -> None:
        for other in self._branches.all(row["project"]):
            if other["doc"]["default"] != (other is row):
                other["doc"] |= {"default": other is row, "primary": other is row}
                self._branches.touch(other)

    def delete(self, row: BranchRow, *, hard: bool, method: str = "user") -> list[Doc]:
        self._parts.operations.check_free(row["project"])
        if row["doc"]["default"]:
            raise api_error(422, "cannot delete the default branch")
        if row["doc"]["protected"]:
            raise api_error(422, "cannot delete a protected branch")
        if self._branches.children(row):
            raise api_error(422, "cannot delete a branch that has children")
        at = self._parts.site.clock().isoformat()
        endpoints = self._parts.logins.endpoints(row["id"])
        steps = [Step("suspend_compute", row["id"], endpoint["id"]) for endpoint in endpoints]
        row["status"], row["deleted_at"], row["deletion_method"] = "deleted", at, method
        self._tables.branches.put(row)
        work = {"do": "shut_branch", "branch": row["id"], "hard": hard}
        return self._parts.operations.schedule(row["project"], *steps, Step("delete_timeline", row["id"], work=work))

    def recover(self, project: str, branch: str) -> tuple[BranchRow, list[Doc]]:
        row = self._tables.branches.get(branch)
        if row is None or row["project"] != project or not self._branches.recoverable(row):
            raise not_found("branch")
        self._parts.operations.check_free(project)
        self._branches.check_name(project, row["doc"]["name"])
        row["status"], row["deleted_at"], row["deletion_method"] = "ready", "", ""
        row["doc"] = {k: v for k, v in row["doc"].items() if k not in ("expires_at", "ttl_interval_seconds")}
        self._branches.touch(row)
        work = {"do": "recover_branch", "branch": branch}
        return row, self._parts.operations.schedule(project, Step("timeline_unarchive", branch, work=work))

    async def _shut(self, work: Doc) -> None:
        row = self._tables.branches.get(work["branch"])
        if row is None:
            return
        at = self._parts.site.clock()
        for endpoint in self._parts.logins.endpoints(row["id"]):
            if endpoint["doc"]["current_state"] != "idle":
                self._parts.computes.stopped(endpoint, at)
        await self._parts.logins.shut(row)
        if work["hard"]:
            self._parts.trash.branch(row)
        self._parts.trash.wake()

    async def _recover(self, work: Doc) -> None:
        row = self._tables.branches.get(work["branch"])
        if row is not None:
            async with self._parts.trash.alone:
                await self._parts.logins.settle(row)

    def expire(self) -> None:
        """Delete those whose time has come; one that cannot go now goes later."""
        now = timestamp(self._parts.site.clock())
        for row in self._tables.branches.all():
            due = row["status"] == "ready" and row["doc"].get("expires_at", "9999") <= now
            stays = row["doc"]["default"] or row["doc"]["protected"] or self._branches.children(row)
            if due and not stays and not self._parts.operations.busy(row["project"]):
                self.delete(row, hard=False, method="ttl")
