"""`/api/projects/{id}/events`: the events themselves (PostHog docs, API, Events; older than the query route)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from server.twins.posthog import errors
from server.twins.posthog.events_query import events_list
from server.twins.posthog.hogql import HogQLError, run
from server.twins.posthog.private import page_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from server.twins.posthog.private import Door
    from server.twins.posthog.state import Project

Doc = dict[str, Any]

_PERSON = ("email", "name", "username")


class EventsApi:
    def __init__(self, project: Project, door: Door) -> None:
        self._project = project
        self._door = door

    def routes(self) -> list[Route]:
        return [
            *self._door.routes("/events", "query", "analytics", {"GET": self._list}),
            *self._door.routes("/events/{id}", "query", "analytics", {"GET": self._one}),
        ]

    async def _list(self, request: Request) -> Response:
        limit, _ = page_of(request)
        asked = {**request.query_params}
        try:
            query = events_list(asked, limit + 1)
            database, now = self._project.store.path, self._project.now()
            found = await asyncio.to_thread(run, query, database, now, limit + 1)
        except HogQLError as error:
            raise errors.invalid(str(error)) from None
        docs = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        following = None
        if len(docs) > limit:
            edge = "before" if asked.get("orderBy", '["-timestamp"]') != '["timestamp"]' else "after"
            rest = {name: value for name, value in asked.items() if name not in ("before", "after")}
            following = f"{request.url.replace(query='')}?{urlencode({**rest, edge: docs[limit - 1]['timestamp']})}"
        return JSONResponse({"next": following, "results": [self._shown(doc) for doc in docs[:limit]]})

    async def _one(self, request: Request) -> Response:
        row = self._project.store.one("select * from event where uuid = ?", request.path_params["id"])
        if row is None:
            raise errors.not_found()
        timestamp = f"{row['timestamp'].replace(' ', 'T')}Z"
        return JSONResponse(self._shown({**dict(row), "timestamp": timestamp, "elements_chain": ""}))

    def _shown(self, doc: Doc) -> Doc:
        return {
            "id": doc["uuid"],
            "distinct_id": doc["distinct_id"],
            "properties": json.loads(doc["properties"]),
            "event": doc["event"],
            "timestamp": doc["timestamp"],
            "person": self._person(doc["person_id"]),
            "elements": [],
            "elements_chain": doc["elements_chain"],
        }

    def _person(self, person_id: str) -> Doc | None:
        person = self._project.people.by_id(person_id)
        if person is None:
            return None
        named = {key: person.properties[key] for key in _PERSON if key in person.properties}
        distinct_ids = self._project.people.distinct_ids(person_id)[:1]
        return {"is_identified": person.is_identified, "distinct_ids": distinct_ids, "properties": named}
