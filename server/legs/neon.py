"""The database: a Neon project of its own (Neon API v2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field

from server.crash import nowhere
from server.legs import Listed, Resources
from server.legs.names import Moment, VendorId, is_ours
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from server.crash import Crash
    from server.legs import Intent
    from server.legs.turns import Turn
    from server.legs.vendor import Vendor
    from server.settings import LegName, Settings

# "Operations": `failed` may still be retried by Neon, so only these end the wait.
DONE = {"finished", "skipped", "cancelled"}
POLL_SECONDS = 0.25
PAGE = "400"
# Metered by Neon per project; a runaway app stops itself and nobody else.
QUOTA = {"active_time_seconds": 360_000, "logical_size_bytes": 512 * 2**20, "data_transfer_bytes": 5 * 2**30}


class _Operation(BaseModel):
    id: VendorId
    status: str


class _Operations(BaseModel):
    operations: list[_Operation]


class _Project(BaseModel):
    id: VendorId
    name: str
    created_at: Moment


class _Created(BaseModel):
    project: _Project
    operations: list[_Operation]


class _Pagination(BaseModel):
    cursor: str | None = None


class _Projects(BaseModel):
    projects: list[_Project]
    pagination: _Pagination | None = None
    unavailable_project_ids: list[str] = Field(default_factory=list)


class _Branch(BaseModel):
    id: VendorId
    default: bool = False


class _Branches(BaseModel):
    branches: list[_Branch]


class _Database(BaseModel):
    name: str
    owner_name: str


class _Databases(BaseModel):
    databases: list[_Database] = Field(min_length=1)


class _Uri(BaseModel):
    uri: str = Field(alias="connection_uri")


class _UriAnswer(BaseModel):
    uri: str


class _Uris(BaseModel):
    connection_uris: list[_Uri] = Field(min_length=1)


class NeonLeg:
    name: LegName = "database"

    def __init__(self, vendor: Vendor, settings: Settings, at: Crash = nowhere) -> None:
        self._vendor = vendor
        self._settings = settings
        self._at = at

    async def make(self, intent: Intent) -> Resources:
        project: dict[str, Any] = {
            "name": intent.app_id,
            "pg_version": self._settings.neon_pg_version,
            "region_id": self._settings.neon_region,
            "store_passwords": True,
            "settings": {"quota": QUOTA},
        }
        if self._settings.neon_org_id:
            project["org_id"] = self._settings.neon_org_id
        first, second = await self._vendor.book(2)  # to make it, and to hear that it is ready
        answer = await self._vendor.call("POST", "/projects", {"project": project}, turn=first)
        created = self._vendor.read(_Created, answer.body, made=True)
        uris = self._vendor.read(_Uris, answer.body, made=True)
        self._at("database.created")
        await self._settled(created.project.id, created.operations, turn=second)
        return self._resources(created.project.id, uris.connection_uris[0].uri)

    async def find(self, intent: Intent) -> Resources | None:
        named = [project async for project in self._projects(intent.app_id) if project.name == intent.app_id]
        if not named:
            return None
        # Should there ever be two, every server adopts the same one.
        project = f"/projects/{min(named, key=lambda project: (project.created_at, project.id)).id}"
        operations = await self._get(_Operations, f"{project}/operations")
        await self._settled(project.rpartition("/")[2], operations.operations)
        branches = (await self._get(_Branches, f"{project}/branches")).branches
        branch = next((branch.id for branch in branches if branch.default), None)
        if branch is None:
            raise self._vendor.bad_answer()
        database = (await self._get(_Databases, f"{project}/branches/{branch}/databases")).databases[0]
        query = {"database_name": database.name, "role_name": database.owner_name}
        uri = await self._get(_UriAnswer, f"{project}/connection_uri", query)
        return self._resources(project.rpartition("/")[2], uri.uri)

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        doomed: Iterable[str] = [reference["project_id"]] if "project_id" in reference else []
        if not reference:
            doomed = [project.id async for project in self._projects(app_id) if project.name == app_id]
        for project_id in doomed:
            await self._vendor.call("DELETE", f"/projects/{project_id}", accept=(404,))

    async def listed(self) -> AsyncIterator[Listed]:
        async for project in self._projects("mk0r-"):
            if is_ours(project.name):
                yield Listed(project.name, {"project_id": project.id}, project.created_at)

    async def _projects(self, search: str) -> AsyncIterator[_Project]:
        """Every project whose name holds `search`, to the end. Neon may leave some out and say so: that is an error."""
        query = {"search": search, "limit": PAGE}
        if self._settings.neon_org_id:
            query["org_id"] = self._settings.neon_org_id
        seen: set[str] = set()
        while True:
            page = await self._get(_Projects, "/projects", query)
            if page.unavailable_project_ids:
                raise self._vendor.incomplete()
            for project in page.projects:
                yield project
            cursor = page.pagination.cursor if page.pagination else None
            if not page.projects or not cursor:
                return
            if cursor in seen:
                raise self._vendor.incomplete()
            seen.add(cursor)
            query["cursor"] = cursor

    async def _settled(self, project_id: str, operations: list[_Operation], *, turn: Turn | None = None) -> None:
        """Neon: "wait until the operations are finished before attempting to connect"."""
        waited_for = {operation.id for operation in operations if operation.status not in DONE}
        while waited_for:
            await asyncio.sleep(POLL_SECONDS)
            # One request for all of them; the newest come first.
            page = await self._get(_Operations, f"/projects/{project_id}/operations", turn=turn)
            turn = None
            waited_for -= {operation.id for operation in page.operations if operation.status in DONE}

    async def _get(
        self, model: Any, path: str, query: dict[str, str] | None = None, *, turn: Turn | None = None
    ) -> Any:
        return self._vendor.read(model, (await self._vendor.call("GET", path, query=query, turn=turn)).body)

    def _resources(self, project_id: str, uri: str) -> Resources:
        parts = urlsplit(uri)
        if not (parts.hostname and parts.username and parts.password):
            raise self._vendor.bad_answer()
        values = {
            "DATABASE_URL": uri,
            "NEON_HOST": parts.hostname,
            "NEON_ROLE_NAME": unquote(parts.username),
            "NEON_ROLE_PASSWORD": unquote(parts.password),
            "NEON_PROJECT_ID": project_id,
        }
        return Resources({name: Secret(value) for name, value in values.items()}, {"project_id": project_id})
