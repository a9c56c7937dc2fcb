"""Projects as they are: durable records on one side, roles and databases of the cluster on the other.

An intent is recorded before the cluster is touched. A project that was being made when the twin died
was never answered for, so it is dropped on the next start; one that was being dropped is dropped then.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

import psycopg

from server.secrets import Secret
from server.twins.neon import documents, names
from server.twins.neon.errors import api_error, not_found
from server.twins.neon.pool import PoolBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.twins.core import Records, Site
    from server.twins.neon.cluster import Cluster
    from server.twins.neon.documents import Doc, Stored
    from server.twins.neon.requests import ProjectCreate, ProjectUpdate

log = logging.getLogger(__name__)
KIND = "project"
RETRY_SECONDS = 5.0


class Chore:
    """Work done behind the requests: once at the start and whenever it is woken, again when it fails."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._work = work
        self._due = asyncio.Event()

    def wake(self) -> None:
        self._due.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            self._due.clear()
            try:
                await self._work()
            except (psycopg.Error, PoolBusy, OSError) as error:
                log.warning("%s failed (%s), again soon", self._name, type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._due.wait()


class Projects:
    def __init__(self, site: Site, records: Records, cluster: Cluster) -> None:
        self._site = site
        self._records = records
        self._cluster = cluster
        self.chores = (
            refill := Chore("making spare databases", cluster.refill),
            drop := Chore("dropping databases", self._drop_deleted),
        )
        self._refill, self._drop = refill, drop

    @property
    def port(self) -> int:
        """Where PostgreSQL listens."""
        return self._cluster.server.port

    def resume(self) -> None:
        """Decide about what an interrupted run left; the dropping itself is a chore."""
        for stored in self._all():
            if stored["status"] == "creating":
                self._put({**stored, "status": "deleted"})

    async def create(self, wanted: ProjectCreate) -> Stored:
        stored = documents.new_project(wanted, self._cluster.server.major, self._site.clock())
        role, database = stored["roles"][0]["name"], stored["databases"][0]["name"]
        self._put(stored)
        try:
            await self._cluster.claim(role, database, Secret(stored["passwords"][role]))
        except BaseException:
            self._put({**stored, "status": "deleted"})
            self._drop.wake()
            raise
        finally:
            self._refill.wake()
        kept = stored["passwords"] if wanted.store_passwords else {}
        self._put({**stored, "status": "ready", "passwords": kept})
        return stored

    def get(self, project: str) -> Stored:
        found = cast("Stored | None", self._records.get(KIND, project))
        if found is None or found["status"] != "ready":
            raise not_found("project")
        return found

    def all(self) -> list[Stored]:
        """Those that exist for a caller, oldest first."""
        ready = [stored for stored in self._all() if stored["status"] == "ready"]
        return sorted(ready, key=lambda stored: stored["position"])

    def update(self, project: str, wanted: ProjectUpdate) -> Stored:
        stored = self.get(project)
        given = wanted.model_dump(exclude_none=True)
        for name in ("settings", "default_endpoint_settings"):
            if name in given:
                given[name] = {**stored["project"][name], **given[name]}
        changed = {**stored["project"], **given, "updated_at": documents.timestamp(self._site.clock())}
        updated: Stored = {**stored, "project": changed}
        self._put(updated)
        return updated

    async def delete(self, project: str) -> Stored:
        """Out of reach at once; dropped behind the request."""
        stored = self.get(project)
        self._put({**stored, "status": "deleted"})
        try:
            for database in stored["databases"]:
                await self._cluster.disable(database["owner_name"], database["name"])
        finally:
            self._drop.wake()
        return stored

    async def reset_password(self, project: str, role: Doc) -> tuple[Doc, Doc]:
        """The role with its new password, and the operation that set it."""
        password, at = names.password(), documents.timestamp(self._site.clock())
        await self._cluster.reset_password(role["name"], password)
        stored = self.get(project)
        changed = {**role, "updated_at": at}
        done = documents.operation(project, "apply_config", at, stored["branch"]["id"], stored["endpoint"]["id"])
        if stored["project"]["store_passwords"]:
            stored["passwords"][role["name"]] = password.reveal()
        stored["roles"] = [changed if each["name"] == role["name"] else each for each in stored["roles"]]
        stored["operations"].append(done)
        self._put(stored)
        return {**changed, "password": password.reveal()}, done

    def password(self, stored: Stored, role: Doc) -> str:
        if not stored["project"]["store_passwords"]:
            raise api_error(412, "storing passwords is disabled for this project")
        return stored["passwords"][role["name"]]

    async def _drop_deleted(self) -> None:
        for stored in self._all():
            if stored["status"] == "deleted":
                for database in stored["databases"]:
                    await self._cluster.drop(database["owner_name"], database["name"])
                self._records.delete(KIND, stored["id"])

    def _all(self) -> list[Stored]:
        return cast("list[Stored]", self._records.all(KIND))

    def _put(self, stored: Stored) -> None:
        self._records.put(KIND, stored["id"], cast("dict[str, Any]", stored))
