"""E2B's control API: the builds of templates, from the files they take to the log they leave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.e2b import bodies
from server.twins.e2b.errors import wire
from server.twins.e2b.guard import PAGE, body, number
from server.twins.e2b.logs import LEVELS

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.e2b.builds import Builder
    from server.twins.e2b.guard import Handler
    from server.twins.e2b.templates import Build, Catalog, Template
    from server.twins.e2b.uploads import Uploads

HASH = re.compile(r"[A-Za-z0-9]{1,128}")


class Builds:
    def __init__(self, catalog: Catalog, builder: Builder, uploads: Uploads) -> None:
        self._catalog = catalog
        self._builder = builder
        self._uploads = uploads

    def table(self) -> list[tuple[str, str, Handler]]:
        """To be asked before the templates' own routes: a template's name may hold a slash."""
        return [
            ("GET", "/templates/{id:path}/files/{hash}", self.upload_link),
            ("POST", "/v2/templates/{id:path}/builds/{build}", self.start),
            ("GET", "/templates/{id:path}/builds/{build}/status", self.status),
            ("GET", "/templates/{id:path}/builds/{build}/logs", self.logs),
        ]

    def _named(self, request: Request) -> Template:
        return self._catalog.find(request.path_params["id"])

    async def upload_link(self, request: Request) -> Response:
        template, name = self._named(request), request.path_params["hash"]
        if not HASH.fullmatch(name):
            raise wire(400, "Invalid files hash")
        return JSONResponse({"present": self._uploads.exists(name), "url": self._uploads.link(template.id, name)}, 201)

    async def start(self, request: Request) -> Response:
        build = self._of(request)
        if build.status != "waiting":
            raise wire(400, "build is not in waiting state")
        self._builder.start(build, await body(request, bodies.BuildStart))
        return Response(status_code=202)

    def _of(self, request: Request) -> Build:
        """The build a request names, of the template it names. Raises 404."""
        template, build = self._named(request), self._catalog.build(request.path_params["build"])
        if build.template != template.id:
            raise wire(404, f"build '{build.id}' not found")
        return build

    async def status(self, request: Request) -> Response:
        build = self._of(request)
        start = number(request, "logsOffset", 0)
        entries = self._entries(request, build)[start : start + number(request, "limit", PAGE, most=PAGE)]
        answer: dict[str, Any] = {
            "templateID": build.template,
            "buildID": build.id,
            "status": build.status,
            "logs": [],
            "logEntries": entries,
        }
        if build.reason:
            told = [entry for entry in self._builder.log(build.id) if entry.get("step") == build.reason["step"]]
            answer["reason"] = {**build.reason, "logEntries": told[-20:]}
        return JSONResponse(answer)

    async def logs(self, request: Request) -> Response:
        found = self._entries(request, self._of(request))
        if request.query_params.get("direction") == "backward":
            found = found[::-1]
        return JSONResponse({"logs": found[: number(request, "limit", PAGE, most=PAGE)]})

    def _entries(self, request: Request, build: Build) -> list[dict[str, Any]]:
        least = request.query_params.get("level", "debug")
        if least not in LEVELS:
            raise wire(400, f"Invalid level: {least}")
        floor = LEVELS.index(least)
        return [entry for entry in self._builder.log(build.id) if LEVELS.index(entry["level"]) >= floor]
