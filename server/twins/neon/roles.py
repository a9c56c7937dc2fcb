"""Roles and databases of a branch. Source: Neon API v2, Role and Database.

A name is understood as it was asked for, and as it is on the cluster, on this branch or another of the project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from server.twins.core import ids
from server.twins.neon import cluster_databases as databases
from server.twins.neon import cluster_roles as roles
from server.twins.neon import names
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import api_error, exists, not_found
from server.twins.neon.names import in_cluster
from server.twins.neon.operations import Step
from server.twins.neon.rows import DatabaseRow, RoleRow

if TYPE_CHECKING:
    from server.twins.neon.bodies import DatabaseCreate, DatabaseUpdate, RoleCreate
    from server.twins.neon.branches import Branches
    from server.twins.neon.parts import Parts
    from server.twins.neon.rows import BranchRow, Doc, ProjectRow

Named = TypeVar("Named", RoleRow, DatabaseRow)
RESERVED = ("postgres", "template0", "template1", "public", "none", "cloud_admin", "neon_superuser")


class Roles:
    def __init__(self, parts: Parts, branches: Branches) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._branches = branches
        parts.operations.register("drop_role", self._drop_role)
        parts.operations.register("drop_database", self._drop_database)
        parts.operations.register("rename_database", self._rename_database)

    def role(self, branch: BranchRow, name: str) -> RoleRow:
        if (found := self._found(branch, branch["roles"], name)) is None:
            raise not_found("role")
        return found

    def database(self, branch: BranchRow, name: str) -> DatabaseRow:
        if (found := self._found(branch, branch["databases"], name)) is None:
            raise not_found("database")
        return found

    def password(self, project: ProjectRow, role: RoleRow) -> str:
        if role["no_login"]:
            raise api_error(404, "the role has no password")
        if not project["doc"]["store_passwords"]:
            raise api_error(412, "storing passwords is disabled for this project")
        return role["password"]

    async def create_role(
        self, project: ProjectRow, branch: BranchRow, wanted: RoleCreate
    ) -> tuple[RoleRow, str, list[Doc]]:
        """The role, its password (this once), and what is going on."""
        self._parts.operations.check_free(project["id"])
        self._check_name(wanted.name, "role")
        if self._found(branch, branch["roles"], wanted.name):
            raise exists("role", role_name=wanted.name)
        at, password = timestamp(self._parts.site.clock()), names.password()
        row = RoleRow(
            name=wanted.name, created_at=at, updated_at=at, no_login=wanted.no_login, verifier="", password=""
        )
        if not wanted.no_login:
            await self._branches.set_password(project, branch, row, password)
        branch["roles"].append(row)
        self._tables.branches.put(branch)
        return row, "" if wanted.no_login else password.reveal(), self._schedule(branch, "settle")

    async def reset_password(self, project: ProjectRow, branch: BranchRow, role: RoleRow) -> tuple[str, list[Doc]]:
        """The new password counts, and who used the old one is cut off, when the last operation is over."""
        self._parts.operations.check_free(project["id"])
        if role["no_login"]:
            raise api_error(422, "the role cannot log in")
        password = names.password()
        await self._branches.set_password(project, branch, role, password)
        self._tables.branches.put(branch)
        return password.reveal(), self._schedule(branch, "settle", hang_up=in_cluster(role["name"], branch["scope"]))

    def delete_role(self, branch: BranchRow, role: RoleRow) -> list[Doc]:
        self._parts.operations.check_free(branch["project"])
        owned = [database["name"] for database in branch["databases"] if database["owner"] == role["name"]]
        if owned:
            raise api_error(422, f"the role owns the database {owned[0]}: give it to another role, or delete it, first")
        branch["roles"].remove(role)
        self._tables.branches.put(branch)
        return self._schedule(branch, "drop_role", role=role["name"])

    def create_database(self, branch: BranchRow, wanted: DatabaseCreate) -> tuple[DatabaseRow, list[Doc]]:
        self._parts.operations.check_free(branch["project"])
        self._check_name(wanted.name, "database")
        if self._found(branch, branch["databases"], wanted.name):
            raise exists("database", database_name=wanted.name)
        owner = self._owner(branch, wanted.owner_name)
        at = timestamp(self._parts.site.clock())
        row = DatabaseRow(id=ids.number(), name=wanted.name, owner=owner["name"], created_at=at, updated_at=at)
        branch["databases"].append(row)
        self._tables.branches.put(branch)
        return row, self._schedule(branch, "settle")

    def update_database(self, branch: BranchRow, row: DatabaseRow, wanted: DatabaseUpdate) -> list[Doc]:
        self._parts.operations.check_free(branch["project"])
        old = row["name"]
        if wanted.name is not None and self._found(branch, [row], wanted.name) is None:
            self._check_name(wanted.name, "database")
            if self._found(branch, branch["databases"], wanted.name):
                raise exists("database", database_name=wanted.name)
            row["name"] = wanted.name
        if wanted.owner_name is not None:
            row["owner"] = self._owner(branch, wanted.owner_name)["name"]
        row["updated_at"] = timestamp(self._parts.site.clock())
        self._tables.branches.put(branch)
        return self._schedule(branch, "rename_database", old=old, new=row["name"])

    def delete_database(self, branch: BranchRow, row: DatabaseRow) -> list[Doc]:
        self._parts.operations.check_free(branch["project"])
        branch["databases"].remove(row)
        self._tables.branches.put(branch)
        return self._schedule(branch, "drop_database", database=row["name"])

    def _schedule(self, branch: BranchRow, do: str, **more: str) -> list[Doc]:
        endpoint = next(iter(self._parts.logins.endpoints(branch["id"], kind="read_write")), None)
        work = {"do": do, "branch": branch["id"], **more}
        step = Step("apply_config", branch["id"], endpoint["id"] if endpoint else None, work)
        return self._parts.operations.schedule(branch["project"], step)

    def _found(self, branch: BranchRow, rows: list[Named], name: str) -> Named | None:
        scopes = [row["scope"] for row in self._tables.branches.by("project", branch["project"])]
        for row in rows:
            if name == row["name"] or name in (in_cluster(row["name"], scope) for scope in scopes):
                return row
        return None

    def _owner(self, branch: BranchRow, name: str) -> RoleRow:
        owner = self._found(branch, branch["roles"], name)
        if owner is None:
            raise api_error(404, f'database owner not found; role_name:"{name}"')
        return owner

    @staticmethod
    def _check_name(name: str, what: str) -> None:
        if name.lower() in RESERVED or name.lower().startswith("pg_"):
            raise api_error(422, f"{what} name {name!r} is reserved")

    async def _drop_role(self, work: Doc) -> None:
        branch = self._tables.branches.get(work["branch"])
        if branch is None:
            return
        login, owner = in_cluster(work["role"], branch["scope"]), in_cluster(work["role"], branch["project"])
        readers = self._parts.logins.endpoints(branch["id"], kind="read_only")
        logins = [login, *(in_cluster(work["role"], reader["id"]) for reader in readers)]
        async with self._parts.cluster.session() as session:
            logins = await roles.existing(session, logins)
            for each in logins:
                await roles.keep_out(session, each)
            await roles.hang_up(session, logins)
        for database in branch["databases"] if logins else ():
            name = in_cluster(database["name"], branch["scope"])
            heir = in_cluster(database["owner"], branch["project"])
            async with self._parts.cluster.session(name) as session:
                await roles.give_up(session, owner, heir)
            await self._parts.cluster.forget(name)
        # What it was granted is gone on every branch of the cluster's shared lists, so the others are told anew.
        for other in self._branches.all(branch["project"]):
            await self._parts.logins.settle(other)
        elsewhere = [
            row
            for row in self._branches.all(branch["project"])
            for role in row["roles"]
            if role["name"] == work["role"]
        ]
        self._parts.trash.add("role", *(each for each in logins if each != owner), *([] if elsewhere else [owner]))
        self._parts.trash.wake()

    async def _drop_database(self, work: Doc) -> None:
        branch = self._tables.branches.get(work["branch"])
        if branch is None:
            return
        name = in_cluster(work["database"], branch["scope"])
        await self._parts.cluster.forget(name)
        async with self._parts.cluster.session() as session:
            await databases.shut(session, name)
            gone = in_cluster(work["database"], "gone-" + branch["scope"] + "-" + ids.lower(6))
            await databases.rename(session, {name: gone})
        self._parts.trash.add("database", gone)
        self._parts.trash.wake()

    async def _rename_database(self, work: Doc) -> None:
        branch = self._tables.branches.get(work["branch"])
        if branch is None:
            return
        if work["old"] != work["new"]:
            old, new = (in_cluster(work[which], branch["scope"]) for which in ("old", "new"))
            await self._parts.copies.rename({old: new})
        await self._parts.logins.settle(branch)
