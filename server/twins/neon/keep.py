"""The twin's state as a whole: emptied, put aside, brought back, with every database in it.

A kept database is a copy in the cluster that nobody can enter; the folder of what is kept names it. When the
folder is gone, so is the copy, soon after.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from typing import TYPE_CHECKING

from server.twins.core import ids
from server.twins.neon import cluster_databases as databases
from server.twins.neon.names import in_cluster

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.neon.parts import Parts
    from server.twins.neon.pool import Pool

RECORDS, MANIFEST = "records.sqlite", "databases.json"
QUIET_SECONDS = 60.0


class NeonKeep:
    def __init__(self, parts: Parts, kept: Path, pool: Pool) -> None:
        self._parts = parts
        self._tables = parts.tables
        self._kept = kept
        self._pool = pool
        self._prefix = f"mk0r_kept_{sha256(str(kept).encode()).hexdigest()[:8]}_"
        self.alone = asyncio.Lock()
        """Held while the state is exchanged, and by whoever drops what is deleted."""

    async def save(self, folder: Path) -> None:
        async with self.alone:
            async with asyncio.timeout(QUIET_SECONDS):
                for project in self._tables.projects.all():
                    await self._parts.operations.settled(project["id"])
            there = await self._existing(self._all_names())
            copy = self._prefix + ids.lower(8)
            pairs = {name: f"{copy}_{number}" for number, name in enumerate(there)}
            await self._parts.copies.make([*pairs.items()])
            async with self._parts.cluster.session() as session:
                for name in pairs.values():
                    await databases.shut(session, name)
            self._tables.records.save(folder / RECORDS)
            (folder / MANIFEST).write_text(json.dumps(pairs))

    async def clear(self) -> None:
        async with self.alone:
            await self._parts.operations.stop()
            await self._pool.close_idle()
            roles = self._all_roles()
            there = await self._existing(self._all_names())
            away = {name: f"mk0r_gone_{ids.lower(16)}" for name in there}
            await self._parts.copies.rename(away)
            trash = [row for row in self._tables.trash.all() if row["kind"] == "database"]
            self._tables.records.clear()
            self._tables.load()
            self._parts.trash.add("database", *away.values(), *(row["id"].partition(":")[2] for row in trash))
            self._parts.trash.add("role", *roles)
            self._parts.accounts.found()
        self._parts.trash.wake()

    async def load(self, folder: Path) -> None:
        """After `clear`: nothing of what is loaded is in the way."""
        async with self.alone:
            trash = self._tables.trash.all()
            self._tables.records.load(folder / RECORDS)
            self._tables.load()
            wanted = set(self._all_roles())
            for row in trash:
                kind, _, name = row["id"].partition(":")
                if kind == "database" or name not in wanted:
                    self._tables.trash.put(row)
            pairs: dict[str, str] = json.loads((folder / MANIFEST).read_text())
            await self._parts.copies.make([(copy, name) for name, copy in pairs.items()])
            for branch in self._tables.branches.all():
                project = self._tables.projects.get(branch["project"])
                if branch["status"] == "ready" and project is not None and project["status"] == "ready":
                    await self._parts.logins.settle(branch)
            self._parts.accounts.found()
            self._parts.operations.resume()

    async def forget_removed(self) -> None:
        """Give up the copies whose folder is gone."""
        named = set[str]()
        for manifest in self._kept.glob(f"*/{MANIFEST}"):
            named |= set(json.loads(manifest.read_text()).values())
        async with self._parts.cluster.session() as session:
            found = await session.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (self._prefix,)
            )
            gone = [name for (name,) in await found.fetchall() if name not in named]
        self._parts.trash.add("database", *gone)

    def _all_names(self) -> list[str]:
        rows = [*self._tables.branches.all(), *self._tables.snapshots.all()]
        return [in_cluster(database["name"], row["scope"]) for row in rows for database in row["databases"]]

    def _all_roles(self) -> list[str]:
        """Owners last: a login may still be a member of one."""
        branches = self._tables.branches.all()
        logins = [login for branch in branches for login in self._parts.logins.of(branch)]
        owners = [in_cluster(role["name"], branch["project"]) for branch in branches for role in branch["roles"]]
        return [*dict.fromkeys([*(each for each in logins if each not in owners), *owners])]

    async def _existing(self, names: list[str]) -> list[str]:
        async with self._parts.cluster.session() as session:
            return sorted(await databases.existing(session, names))
