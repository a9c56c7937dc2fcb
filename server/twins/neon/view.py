"""What a person sees: projects, their branches, the databases in them, and the rows in those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier, Literal

from server.twins.core.view import Facts, Link, Table, View
from server.twins.neon import documents
from server.twins.neon.rows import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg.pq.abc import PGresult

    from server.twins.core.view import Cell
    from server.twins.neon.rows import BranchRow, OperationRow
    from server.twins.neon.state import Rules

ROWS_SHOWN = 50
LONGEST_CELL = 200
TOLD = {"id": "Id", "pg_version": "PostgreSQL", "region_id": "Region", "org_id": "Organization", "created_at": "Made"}
TABLES = """
SELECT n.nspname, c.relname, c.relkind::text, pg_size_pretty(pg_total_relation_size(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2
"""
ROWS_IN = ("r", "p")
"""A view is not opened: it would run what an app has made, in a superuser's session."""
KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view"}


class Viewing:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tables = rules.parts.tables

    async def view(self, path: str) -> View:
        """Raises KeyError for a path that shows nothing."""
        match path.split("/"):
            case [""]:
                return self._front()
            case ["project", project]:
                return self._project(project)
            case ["branch", branch]:
                return self._branch(branch)
            case ["branch", branch, database]:
                return await self._database(branch, database)
            case ["branch", branch, database, schema, table]:
                return await self._rows(branch, database, schema, table)
            case _:
                raise KeyError(path)

    def _front(self) -> View:
        projects: list[list[Cell]] = []
        for row in self._tables.projects.all():
            branches = self._rules.branches.all(row["id"])
            size = _size(sum(size_of(branch) for branch in branches))
            state = row["status"] if not row["blocked"] else f"suspended: {row['blocked']} used up"
            name = Link(row["doc"]["name"], f"project/{row['id']}")
            projects.append([name, row["id"], state, str(len(branches)), size, row["doc"]["created_at"]])
        keys = [
            [key["name"], key["project"] or key["org"] or "personal", key["created_at"], key["last_used_at"] or "never"]
            for key in self._tables.keys.all()
        ]
        blocks = [Table("Projects", ["Name", "Id", "State", "Branches", "Size", "Made"], projects)]
        if keys:
            blocks.append(Table("API keys", ["Name", "Opens", "Made", "Last used"], keys))
        return View("Neon", blocks)

    def _project(self, project: str) -> View:
        row = self._tables.projects.get(project)
        if row is None:
            raise KeyError(project)
        doc = self._rules.shown.project(row)
        branches: list[list[Cell]] = []
        for branch in self._rules.branches.all(project, deleted=True):
            kind = "default" if branch["doc"]["default"] else "branch"
            link = Link(branch["doc"]["name"], f"branch/{branch['id']}")
            branches.append(
                [
                    link,
                    branch["id"],
                    kind,
                    branch["doc"]["current_state"],
                    self._name(branch["doc"].get("parent_id", "")),
                ]
            )
        snapshots = [
            [each["doc"]["name"], each["id"], each["doc"]["created_at"]]
            for each in self._tables.snapshots.by("project", project)
        ]
        facts = Facts("Project", [(title, str(doc[name])) for name, title in TOLD.items()])
        used = Facts(
            "Used in this period",
            [
                ("Active time", f"{doc['active_time_seconds']} s"),
                ("Sent", _size(doc["data_transfer_bytes"])),
                ("On disk", _size(doc["synthetic_storage_size"])),
                ("Quota", _pairs(doc["settings"].get("quota") or {}) or "none"),
            ],
        )
        blocks = [facts, used, Table("Branches", ["Name", "Id", "Kind", "State", "Parent"], branches)]
        if snapshots:
            blocks.append(Table("Snapshots", ["Name", "Id", "Taken"], snapshots))
        operations = self._rules.parts.operations.newest_first(project)[:ROWS_SHOWN]
        blocks.append(
            Table("Operations", ["Action", "Status", "Branch", "Took", "Began"], [*map(_operation, operations)])
        )
        return View(doc["name"], blocks)

    def _branch(self, branch: str) -> View:
        row, crumbs = self._found(branch)
        shown = self._rules.shown
        databases: list[list[Cell]] = [
            [
                Link(each["name"], f"branch/{branch}/{each['name']}"),
                documents.database(row, each)["name"],
                each["owner"],
            ]
            for each in row["databases"]
        ]
        roles = [[each["name"], documents.role(row, each)["name"]] for each in row["roles"]]
        computes = [
            [each["id"], each["doc"]["type"], each["doc"]["current_state"], shown.endpoint(each).get("last_active", "")]
            for each in self._rules.parts.logins.endpoints(branch)
        ]
        return View(
            row["doc"]["name"],
            [
                Table("Databases", ["Name", "On the cluster", "Owner"], databases),
                Table("Roles", ["Name", "On the cluster"], roles),
                Table("Computes", ["Id", "Type", "State", "Last active"], computes),
            ],
            crumbs,
        )

    async def _database(self, branch: str, database: str) -> View:
        row, crumbs = self._found(branch)
        name = self._on_cluster(row, database)
        async with self._rules.parts.cluster.session(name) as session:
            found = await (await session.execute(TABLES)).fetchall()
        await self._rules.parts.cluster.forget(name)
        tables: list[list[Cell]] = [
            [
                Link(f"{schema}.{table}", f"branch/{branch}/{database}/{schema}/{table}")
                if kind in ROWS_IN
                else f"{schema}.{table}",
                KINDS[kind],
                size,
            ]
            for schema, table, kind, size in found
        ]
        crumbs = [*crumbs, Link(row["doc"]["name"], f"branch/{branch}")]
        return View(database, [Table("Tables", ["Name", "Kind", "Size"], tables)], crumbs)

    async def _rows(self, branch: str, database: str, schema: str, table: str) -> View:
        row, crumbs = self._found(branch)
        name = self._on_cluster(row, database)
        async with self._rules.parts.cluster.session(name) as session:
            known = {(name[0], name[1]): name[2] for name in await (await session.execute(TABLES)).fetchall()}
            if known.get((schema, table)) not in ROWS_IN:
                raise KeyError(table)
            query = SQL("SELECT * FROM {} LIMIT {}").format(Identifier(schema, table), Literal(ROWS_SHOWN))
            async with session.transaction(force_rollback=True):
                await session.execute("SET TRANSACTION READ ONLY")
                found = await session.execute(query)
                columns = [column.name for column in found.description or ()]
                rows = _as_written(found.pgresult, len(columns))
        await self._rules.parts.cluster.forget(name)
        crumbs = [*crumbs, Link(row["doc"]["name"], f"branch/{branch}"), Link(database, f"branch/{branch}/{database}")]
        return View(f"{schema}.{table}", [Table(f"The first {ROWS_SHOWN} rows", columns, rows)], crumbs)

    def _name(self, branch: str) -> str:
        row = self._tables.branches.get(branch)
        return row["doc"]["name"] if row else branch

    def _found(self, branch: str) -> tuple[BranchRow, list[Link]]:
        row = self._tables.branches.get(branch)
        project = self._tables.projects.get(row["project"]) if row else None
        if row is None or project is None:
            raise KeyError(branch)
        return row, [Link(project["doc"]["name"], f"project/{project['id']}")]

    @staticmethod
    def _on_cluster(row: BranchRow, database: str) -> str:
        for each in row["databases"]:
            if each["name"] == database:
                return documents.database(row, each)["name"]
        raise KeyError(database)


def _as_written(result: PGresult | None, columns: int) -> list[list[str]]:
    """Rows as PostgreSQL writes them."""
    if result is None:
        return []
    cells = [[result.get_value(row, column) for column in range(columns)] for row in range(result.ntuples)]
    return [["null" if cell is None else cell.decode(errors="replace")[:LONGEST_CELL] for cell in row] for row in cells]


def _operation(row: OperationRow) -> list[Cell]:
    doc = row["doc"]
    took = f"{doc['total_duration_ms']} ms"
    return [doc["action"], doc["status"], doc.get("branch_id", ""), took, doc["created_at"]]


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in values.items())


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
