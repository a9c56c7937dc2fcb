"""Handing projects over: the claim flow, and moves between one's own organizations."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from server.twins.core import ids
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import not_found
from server.twins.neon.rows import TransferRow, size_of

if TYPE_CHECKING:
    from server.twins.neon.parts import Parts
    from server.twins.neon.projects import Projects
    from server.twins.neon.rows import Doc, OrganizationRow, ProjectRow


class Transfers:
    """Requests to hand a project over: whoever is given the request's id takes the project."""

    def __init__(self, parts: Parts, projects: Projects) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._projects = projects

    def create(self, project: ProjectRow, seconds: int) -> Doc:
        now = self._parts.site.clock()
        doc = {
            "id": ids.uuid(),
            "project_id": project["id"],
            "created_at": timestamp(now),
            "expires_at": timestamp(now + timedelta(seconds=seconds)),
        }
        until = {name: doc[name] for name in ("created_at", "expires_at")}
        self._tables.transfers.put(TransferRow(id=doc["id"], project=project["id"], **until))
        return doc

    def accept(self, project: str, request: str, org: OrganizationRow) -> list[Doc]:
        """Why the organization cannot own it; when there is no reason, it does. Raises 404."""
        transfer = self._tables.transfers.get(request)
        row = self._tables.projects.get(project)
        if transfer is None or row is None or transfer["project"] != project or row["status"] != "ready":
            raise not_found("project transfer request")
        if transfer["expires_at"] <= timestamp(self._parts.site.clock()):
            raise not_found("project transfer request")
        limits = self.unsatisfied(org, [row])
        if not limits:
            self._projects.move(row, org["id"])
        return [{"message": f"needs {each['expected']}, is {each['actual']}", "code": each["name"]} for each in limits]

    def unsatisfied(self, org: OrganizationRow, projects: list[ProjectRow]) -> list[Doc]:
        """The limits of the receiving organization that these projects would break (schema LimitsUnsatisfied)."""
        plan = self._parts.accounts.plan(org["id"])
        have = len(self._projects.of(org["id"])) + len(projects)
        limits: list[Doc] = []
        if have > org["projects_limit"]:
            limits.append({"name": "projects_count", "expected": str(org["projects_limit"]), "actual": str(have)})
        for row in projects:
            branches = self._tables.branches.by("project", row["id"])
            if len(branches) > plan.branches or any(size_of(b) > plan.branch_size_mib * 2**20 for b in branches):
                limits.append(
                    {"name": "subscription_type", "expected": "a paid plan", "actual": plan.subscription_type}
                )
                break
        return limits
