"""A PostHog twin in this process, and the ways a test speaks to it."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from server.secrets import Secret
from server.twins.core import Site
from server.twins.posthog import build

if TYPE_CHECKING:
    from pathlib import Path

Doc = dict[str, Any]

KEY = "phc_project"
GROUP = "mk0r-abc123def456"
ADMIN = {"Authorization": "Bearer admin-token"}
BEGINNING = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass
class Stage:
    folder: Path
    scripts: Path | None = None
    now: datetime = BEGINNING
    http: httpx.AsyncClient = field(init=False)
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self) -> None:
        """Start the twin, on what an earlier one left."""
        site = Site(
            "posthog", "http://localhost", self.folder, Secret(KEY), Secret("admin-token"), clock=lambda: self.now
        )
        twin = build(site, scripts=self.scripts)
        await self._closing.enter_async_context(twin.router.lifespan_context(twin))
        transport = httpx.ASGITransport(twin)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        self._closing.push_async_callback(self.http.aclose)

    async def close(self) -> None:
        await self._closing.aclose()

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    async def capture(self, *events: Doc, **envelope: Any) -> httpx.Response:
        return await self.http.post("/batch/", content=a_batch(*events, **envelope))

    async def captured(self, **asked: str) -> list[Doc]:
        return (await self.twin("GET", "events", params=asked))["events"]

    async def twin(self, method: str, path: str, **request: Any) -> Any:
        answer = await self.http.request(method, f"/_twin/{path}", headers=ADMIN, **request)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def key(self, *scopes: str) -> dict[str, str]:
        """The headers of a personal key with these scopes, or with all of them."""
        made = await self.twin("POST", "keys", json={"scopes": [*scopes] or ["*"]})
        return {"Authorization": f"Bearer {made['value']}"}

    async def api(self, method: str, path: str, body: Any = None, scopes: tuple[str, ...] = ("*",)) -> httpx.Response:
        """Call the private API."""
        headers = await self.key(*scopes)
        return await self.http.request(method, f"/api/projects/1/{path}", json=body, headers=headers)

    async def flag(self, key: str, **fields: Any) -> Doc:
        answer = await self.api("POST", "feature_flags/", {"key": key, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def flags(self, distinct_id: str = "u1", version: int = 2, **asked: Any) -> Doc:
        """Every flag's answer."""
        body = {"token": KEY, "distinct_id": distinct_id, **asked}
        return (await self.http.post(f"/flags/?v={version}", json=body)).json()

    async def query(self, hogql: str, **more: Any) -> Doc:
        body = {"query": {"kind": "HogQLQuery", "query": hogql, **more}}
        answer = await self.api("POST", "query/", body, scopes=("query:read",))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rows(self, hogql: str, **more: Any) -> list[list[Any]]:
        return (await self.query(hogql, **more))["results"]


def an_event(name: str = "tab_opened", distinct_id: str = "u1", **fields: Any) -> Doc:
    properties = {"tab": "home", "$groups": {"app": GROUP}}
    return {"event": name, "distinct_id": distinct_id, "properties": properties, **fields}


def a_batch(*events: Doc, **fields: Any) -> bytes:
    return json.dumps({"api_key": KEY, "batch": events or [an_event()], **fields}).encode()


def rollout(percentage: int | None = None, *wanted: Doc, **condition: Any) -> Doc:
    """Filters of one release condition."""
    return {"groups": [{"properties": [*wanted], "rollout_percentage": percentage, **condition}]}
