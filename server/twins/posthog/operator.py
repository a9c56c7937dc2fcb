"""The twin's own doors, behind the admin token: what was captured, keys, and quotas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core import WireError
from server.twins.core.admin import admin_only
from server.twins.posthog.state import QUOTAS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.posthog.state import Project

Doc = dict[str, Any]

MOST_SHOWN = 1000


class Operator:
    def __init__(self, site: Site, project: Project) -> None:
        self._site = site
        self._project = project

    def routes(self) -> list[Route]:
        def on(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
            return Route(f"/_twin/{path}", admin_only(self._site, handler), methods=[method])

        return [
            on("GET", "events", self._events),
            on("GET", "recordings", self._recordings),
            on("POST", "keys", self._make_key),
            on("DELETE", "keys/{ending}", self._remove_key),
            on("PUT", "quota", self._set_quota),
        ]

    async def _events(self, request: Request) -> Response:
        """The newest thousand, oldest first: `?group=` a group's key, `?event=` a name."""
        asked = request.query_params
        group, name = asked.get("group"), asked.get("event")
        rows = self._project.store.all(
            "select * from event where (?1 is null or ?1 in (group_0, group_1, group_2, group_3, group_4)) "
            "and (?2 is null or event = ?2) order by seq desc limit ?3",
            *(group, name, MOST_SHOWN),
        )
        types = {index: kind for kind, index in self._project.groups.types().items()}
        events = [
            {
                **{column: row[column] for column in ("uuid", "event", "distinct_id", "person_id", "timestamp")},
                "received_at": row["created_at"],
                "groups": {kind: row[f"group_{index}"] for index, kind in types.items() if row[f"group_{index}"]},
                "properties": json.loads(row["properties"]),
            }
            for row in reversed(rows)
        ]
        return JSONResponse({"events": events, "groups": self._groups(types)})

    def _groups(self, types: dict[int, str]) -> list[Doc]:
        rows = self._project.store.all(f'select * from "group" order by rowid limit {MOST_SHOWN}')  # noqa: S608 - our own words
        return [
            {
                "group_type": types[row["group_type_index"]],
                "group_key": row["group_key"],
                "properties": json.loads(row["properties"]),
            }
            for row in rows
        ]

    async def _recordings(self, _request: Request) -> Response:
        rows = self._project.store.all("select * from recording order by rowid desc limit ?", MOST_SHOWN)
        return JSONResponse({"recordings": [dict(row) for row in rows]})

    async def _make_key(self, request: Request) -> Response:
        """A personal key with `scopes` (all of them by default), or the project's secret key. Shown this once."""
        body = await request.json()
        if body.get("kind", "personal") == "project_secret":
            return JSONResponse({"value": self._project.keys.make_secret()}, 201)
        scopes = body.get("scopes", ["*"])
        if not isinstance(scopes, list) or not scopes:
            raise WireError(422, {"error": 'scopes is a list such as ["query:read", "feature_flag:write"]'})
        label = str(body.get("label", "Local key"))
        return JSONResponse({"value": self._project.keys.make_personal(label, [*map(str, scopes)])}, 201)  # pyright: ignore[reportUnknownArgumentType] - JSON

    async def _remove_key(self, request: Request) -> Response:
        """The key that ends in these four letters is valid no longer."""
        if not self._project.keys.remove(request.path_params["ending"]):
            raise WireError(404, {"error": "no key ends so"})
        return Response(status_code=204)

    async def _set_quota(self, request: Request) -> Response:
        """Which resources have reached their billing limit."""
        resources = (await request.json()).get("resources", [])
        if unknown := {*resources} - {*QUOTAS}:
            raise WireError(
                422, {"error": f"no such resource: {', '.join(sorted(unknown))}; there are {', '.join(QUOTAS)}"}
            )
        self._project.limit(resources)
        return JSONResponse({"resources": resources})
