"""Copies of whole databases, and exchanges of their names, while nobody is connected to them.

PostgreSQL copies a database only when nobody is in it, so a copy ends the direct connections of its source;
what comes over HTTP meanwhile waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.neon import cluster_databases as databases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server.twins.neon.cluster import Cluster
    from server.twins.neon.computes import Computes


class Copies:
    def __init__(self, cluster: Cluster, computes: Computes) -> None:
        self._cluster = cluster
        self._computes = computes

    async def make(self, pairs: Sequence[tuple[str, str]], *, schema_only: bool = False) -> None:
        """Copy each source under its new name; what is there already is left as it is."""
        sources = [source for source, _ in pairs]
        async with self._computes.shut(sources):
            try:
                await self._empty(sources)
                for source, target in pairs:
                    async with self._cluster.making, self._cluster.session() as session:
                        await databases.copy(session, source, target)
            finally:
                await self._reopen(sources)
        if schema_only:
            for _, target in pairs:
                async with self._cluster.session(target) as session:
                    await databases.empty_tables(session)

    async def rename(self, new_names: Mapping[str, str]) -> None:
        """All at once. They are open again when their branch is settled."""
        async with self._computes.shut([*new_names]):
            await self._empty([*new_names])
            async with self._cluster.session() as session:
                await databases.rename(session, new_names)

    async def _empty(self, names: Sequence[str]) -> None:
        for name in names:
            await self._cluster.forget(name)
            async with self._cluster.session() as session:
                await databases.shut(session, name)

    async def _reopen(self, names: Sequence[str]) -> None:
        """Those of branches; a snapshot's stay shut."""
        async with self._cluster.session() as session:
            for name in names:
                if self._computes.branch_of(name):
                    await databases.reopen(session, name)
