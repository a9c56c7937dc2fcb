"""The database: a Neon project of its own (Neon API v2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from server.legs import Resources
from server.secrets import Secret

if TYPE_CHECKING:
    from server.legs.vendor import Vendor
    from server.settings import LegName, Settings

# "Operations": `failed` may still be retried by Neon, so only these end the wait.
DONE = {"finished", "skipped", "cancelled"}
POLL_SECONDS = 0.25
# Metered by Neon per project; a runaway app stops itself and nobody else.
QUOTA = {"active_time_seconds": 360_000, "logical_size_bytes": 512 * 2**20, "data_transfer_bytes": 5 * 2**30}


class _ConnectionUri(BaseModel):
    connection_uri: str


class _Operation(BaseModel):
    id: str
    status: str


class _Project(BaseModel):
    id: str
    name: str


class _Created(BaseModel):
    project: _Project
    connection_uris: list[_ConnectionUri]
    operations: list[_Operation]


class NeonLeg:
    name: LegName = "database"

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        self._vendor = vendor
        self._settings = settings

    async def make(self, app_id: str) -> Resources:
        project: dict[str, Any] = {
            "name": app_id,
            "pg_version": self._settings.neon_pg_version,
            "region_id": self._settings.neon_region,
            "store_passwords": True,
            "settings": {"quota": QUOTA},
        }
        if self._settings.neon_org_id:
            project["org_id"] = self._settings.neon_org_id
        answer = await self._vendor.call("POST", "/projects", {"project": project})
        created = self._vendor.read(_Created, answer.body)
        if not created.connection_uris:
            raise self._vendor.bad_answer()
        await self._settled(created.project.id, created.operations)
        return _resources(created.project.id, created.connection_uris[0].connection_uri)

    async def find(self, app_id: str) -> Resources | None:
        project_id = await self._project_named(app_id)
        if project_id is None:
            return None
        branches = (await self._vendor.call("GET", f"/projects/{project_id}/branches")).body["branches"]
        branch = next(b["id"] for b in branches if b.get("default"))
        path = f"/projects/{project_id}/branches/{branch}/databases"
        database = (await self._vendor.call("GET", path)).body["databases"][0]
        uri = await self._vendor.call(
            "GET",
            f"/projects/{project_id}/connection_uri",
            query={"database_name": database["name"], "role_name": database["owner_name"]},
        )
        return _resources(project_id, self._vendor.read(_UriAnswer, uri.body).uri)

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        project_id = reference.get("project_id") or await self._project_named(app_id)
        if project_id:
            await self._vendor.call("DELETE", f"/projects/{project_id}", accept=(404,))

    async def _project_named(self, name: str) -> str | None:
        """Neon's `search` matches parts of names and may leave projects out, so look exactly and to the end."""
        query = {"search": name, "limit": "400"}
        if self._settings.neon_org_id:
            query["org_id"] = self._settings.neon_org_id
        while True:
            page: Any = (await self._vendor.call("GET", "/projects", query=query)).body
            if found := next((p["id"] for p in page["projects"] if p["name"] == name), None):
                return found
            if page.get("unavailable_project_ids"):
                raise self._vendor.bad_answer()
            pagination: dict[str, str] = page.get("pagination") or {}
            cursor = pagination.get("cursor")
            if not page["projects"] or not cursor or cursor == query.get("cursor"):
                return None
            query["cursor"] = cursor

    async def _settled(self, project_id: str, operations: list[_Operation]) -> None:
        """Neon: "wait until the operations are finished before attempting to connect"."""
        for operation in operations:
            status = operation.status
            while status not in DONE:
                await asyncio.sleep(POLL_SECONDS)
                answer = await self._vendor.call("GET", f"/projects/{project_id}/operations/{operation.id}")
                status = self._vendor.read(_OperationAnswer, answer.body).operation.status


class _OperationAnswer(BaseModel):
    operation: _Operation


class _UriAnswer(BaseModel):
    uri: str


def _resources(project_id: str, uri: str) -> Resources:
    parts = urlsplit(uri)
    values = {
        "DATABASE_URL": uri,
        "NEON_HOST": parts.hostname or "",
        "NEON_ROLE_NAME": unquote(parts.username or ""),
        "NEON_ROLE_PASSWORD": unquote(parts.password or ""),
        "NEON_PROJECT_ID": project_id,
    }
    return Resources({name: Secret(value) for name, value in values.items()}, {"project_id": project_id})
