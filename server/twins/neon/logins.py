"""Makes the cluster agree with what is written down of a branch: its roles, its databases, who may connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier

from server.twins.neon import cluster_databases as databases
from server.twins.neon import cluster_roles as roles
from server.twins.neon.names import in_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from server.twins.neon.cluster import Cluster
    from server.twins.neon.rows import BranchRow, EndpointRow, RoleRow
    from server.twins.neon.tables import Tables


class Logins:
    def __init__(self, cluster: Cluster, tables: Tables) -> None:
        self._cluster = cluster
        self._tables = tables

    def endpoints(self, branch: str, *, kind: str = "") -> list[EndpointRow]:
        found = [row for row in self._tables.endpoints.by("branch", branch) if not row["deleted_at"]]
        return [row for row in found if kind in ("", row["doc"]["type"])]

    def of(self, branch: BranchRow) -> list[str]:
        """Every login of the branch, those of its read-only endpoints included."""
        scopes = [branch["scope"], *(row["id"] for row in self.endpoints(branch["id"], kind="read_only"))]
        return [in_cluster(role["name"], scope) for scope in scopes for role in branch["roles"]]

    @staticmethod
    def through(branch: BranchRow, endpoint: EndpointRow) -> list[str]:
        """The logins that come through one endpoint."""
        scope = endpoint["id"] if endpoint["doc"]["type"] == "read_only" else branch["scope"]
        return [in_cluster(role["name"], scope) for role in branch["roles"]]

    @staticmethod
    def databases_of(branch: BranchRow) -> list[str]:
        return [in_cluster(database["name"], branch["scope"]) for database in branch["databases"]]

    async def settle(self, branch: BranchRow) -> None:
        """May be called at any time, and as often as one likes."""
        project = self._tables.projects.get(branch["project"])
        blocked = project is None or bool(project["blocked"]) or branch["status"] != "ready"
        computes = [] if blocked else [e for e in self.endpoints(branch["id"]) if not e["doc"]["disabled"]]
        writers = [e for e in computes if e["doc"]["type"] == "read_write"]
        readers = self.endpoints(branch["id"], kind="read_only")
        async with self._cluster.session() as session:
            for role in branch["roles"]:
                await self._role(session, branch, role, bool(writers))
                for reader in readers:
                    await self._reader(session, reader, role, reader in computes)
            await self._databases(session, branch)

    async def _role(self, session: psycopg.AsyncConnection, branch: BranchRow, role: RoleRow, open_: bool) -> None:
        owner, login = in_cluster(role["name"], branch["project"]), in_cluster(role["name"], branch["scope"])
        await roles.ensure(session, owner)
        if login != owner:
            await roles.ensure(session, login)
            await roles.act_as(session, login, owner)
        await roles.begin_read_only(session, login, read_only=branch["full"])
        await self._admit(session, login, role, open_)

    async def _reader(self, session: psycopg.AsyncConnection, reader: EndpointRow, role: RoleRow, open_: bool) -> None:
        login = in_cluster(role["name"], reader["id"])
        await roles.ensure(session, login)
        await roles.only_read(session, login)
        await self._admit(session, login, role, open_)

    async def _admit(self, session: psycopg.AsyncConnection, login: str, role: RoleRow, open_: bool) -> None:
        if open_ and not role["no_login"]:
            await roles.let_in(session, login, role["verifier"])
        else:
            await roles.keep_out(session, login)

    async def _databases(self, session: psycopg.AsyncConnection, branch: BranchRow) -> None:
        owners = [in_cluster(role["name"], branch["project"]) for role in branch["roles"]]
        there = await databases.existing(session, self.databases_of(branch))
        for database in branch["databases"]:
            name, owner = (
                in_cluster(database["name"], branch["scope"]),
                in_cluster(database["owner"], branch["project"]),
            )
            if name not in there:
                async with self._cluster.making:
                    statement = SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(owner))
                    await session.execute(statement)
            await databases.own(session, name, owner)
            await databases.admit(session, name, owners, self.of(branch))
            await databases.reopen(session, name)

    async def hang_up(self, branch: BranchRow, logins: Sequence[str] = ()) -> None:
        """Ends the branch's connections, or those of some of its logins."""
        async with self._cluster.session() as session:
            await roles.hang_up(session, logins or self.of(branch))

    async def shut(self, branch: BranchRow) -> None:
        """Out of reach: nobody can log in, nobody is connected; nothing is dropped."""
        logins = self.of(branch)
        async with self._cluster.session() as session:
            for login in await roles.existing(session, logins):
                await roles.keep_out(session, login)
            await roles.hang_up(session, logins)
