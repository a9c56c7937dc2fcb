"""Documents as they go out: what is written down, and the figures that change by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.neon import documents
from server.twins.neon.documents import moment, timestamp
from server.twins.neon.metering import totals
from server.twins.neon.names import in_cluster
from server.twins.neon.rows import size_of

if TYPE_CHECKING:
    from server.twins.neon.branches import Branches
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import BranchRow, Doc, EndpointRow, ProjectRow


class Shown:
    def __init__(self, parts: Parts, branches: Branches) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._branches = branches

    def project(self, row: ProjectRow) -> Doc:
        """Its document, with what it has used in this period."""
        used = self._parts.meter.this_period(row["id"])
        begin, end = documents.consumption_period(self._parts.site.clock())
        active = [e["last_active"] for e in self._tables.endpoints.by("project", row["id"]) if e["last_active"]]
        org = self._tables.organizations.get(row["org"])
        owner = self._parts.accounts.user(org["members"][0] if org else "")
        plan = self._parts.accounts.plan(row["org"])
        doc = {
            **row["doc"],
            **totals(used),
            "data_storage_bytes_hour": round(sum(each["byte_hours"] for each in used)),
            "synthetic_storage_size": sum(size_of(branch) for branch in self._branches.all(row["id"])),
            "consumption_period_start": timestamp(begin),
            "consumption_period_end": timestamp(end),
            "owner_id": row["org"],
            "owner": {
                "email": owner["email"],
                "name": owner["name"],
                "branches_limit": plan.branches,
                "subscription_type": plan.subscription_type,
            },
        }
        if active:
            doc["compute_last_active_at"] = timestamp(max(moment(text) for text in active))
        return doc

    def listed(self, row: ProjectRow) -> Doc:
        doc = documents.listed(self.project(row))
        org = self._tables.organizations.get(row["org"])
        if org:
            doc["org_name"] = org["doc"]["name"]
        if row["deleted_at"]:
            deleted = moment(row["deleted_at"])
            doc |= {
                "deleted_at": timestamp(deleted),
                "recoverable_until": self._branches.recoverable_until(row["deleted_at"]),
            }
        return doc

    def branch(self, row: BranchRow) -> Doc:
        used = [each for each in self._parts.meter.this_period(row["project"]) if each["branch"] == row["id"]]
        doc = {**row["doc"], **totals(used), "created_by": {"name": "local", "image": ""}}
        if row["sizes"]:
            doc["logical_size"] = size_of(row)
        if row["deleted_at"]:
            doc["recovery"] = {
                "deleted_at": timestamp(moment(row["deleted_at"])),
                "recoverable_until": self._branches.recoverable_until(row["deleted_at"]),
                "deletion_method": row["deletion_method"],
            }
        return doc

    def endpoint(self, row: EndpointRow) -> Doc:
        active = {"last_active": timestamp(moment(row["last_active"]))} if row["last_active"] else {}
        return {**row["doc"], **active}

    def roles(self, branch: BranchRow) -> list[Doc]:
        return [documents.role(branch, row) for row in branch["roles"]]

    def databases(self, branch: BranchRow) -> list[Doc]:
        return [documents.database(branch, row) for row in branch["databases"]]

    def connection(self, branch: BranchRow, endpoint: EndpointRow) -> list[Doc]:
        """Of a branch with one role and one database, and a password that is known; else there is none to show."""
        if len(branch["roles"]) != 1 or len(branch["databases"]) != 1 or not branch["roles"][0]["password"]:
            return []
        role, database = branch["roles"][0], branch["databases"][0]
        login = in_cluster(role["name"], self.scope(branch, endpoint))
        name = in_cluster(database["name"], branch["scope"])
        return [documents.connection_details(self._parts.cluster.server.port, login, role["password"], name)]

    @staticmethod
    def scope(branch: BranchRow, endpoint: EndpointRow) -> str:
        """What ends the names of the logins that come through an endpoint."""
        return endpoint["id"] if endpoint["doc"]["type"] == "read_only" else branch["scope"]
