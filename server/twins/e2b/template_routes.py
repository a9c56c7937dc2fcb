"""E2B's control API: templates and their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.e2b import bodies, listing
from server.twins.e2b.answers import ENVD_VERSION
from server.twins.e2b.errors import wire
from server.twins.e2b.guard import body
from server.twins.e2b.record import CPUS, DISK_MB, MEMORY_MB
from server.twins.e2b.templates import PREPARED_BUILD, parsed

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.e2b.builds import Builder
    from server.twins.e2b.guard import Handler
    from server.twins.e2b.templates import Build, Catalog, Template


class Templates:
    def __init__(self, catalog: Catalog, builder: Builder) -> None:
        self._catalog = catalog
        self._builder = builder

    def table(self) -> list[tuple[str, str, Handler]]:
        """The more particular paths first: a template's name may hold a slash."""
        return [
            ("POST", "/v3/templates", self.request),
            ("GET", "/templates", self.list_v1),
            ("GET", "/v2/templates", self.list),
            ("POST", "/templates/tags", self.assign),
            ("DELETE", "/templates/tags", self.unassign),
            ("GET", "/templates/aliases/{alias:path}", self.alias),
            ("GET", "/templates/{id:path}/tags", self.tags),
            ("GET", "/templates/{id:path}", self.show),
            ("DELETE", "/templates/{id:path}", self.delete),
            ("PATCH", "/templates/{id:path}", self.update_v1),
            ("PATCH", "/v2/templates/{id:path}", self.update),
        ]

    def _named(self, request: Request) -> Template:
        return self._catalog.find(request.path_params["id"])

    async def request(self, request: Request) -> Response:
        asked = await body(request, bodies.TemplateRequest)
        name = asked.name or asked.alias
        if not name:
            raise wire(400, "Name is required")
        build = self._catalog.begin(name, asked.tags or [], asked.cpuCount, asked.memoryMB)
        template = self._catalog.find(build.template)
        answer = {
            "templateID": template.id,
            "buildID": build.id,
            "public": template.public,
            "aliases": template.names,
            "names": self._catalog.full(template),
            "tags": build.tags,
        }
        return JSONResponse(answer, 202)

    async def list_v1(self, request: Request) -> Response:
        return JSONResponse([self._described(each) for each in self._catalog.all() if not each.sandbox])

    async def list(self, request: Request) -> Response:
        found = [each for each in self._catalog.all() if not each.sandbox]
        part, headers = listing.page(request, found, lambda template: template.id)
        return JSONResponse([self._described(each) for each in part], headers=headers)

    def _described(self, template: Template) -> dict[str, Any]:
        """`Template`: with its latest ready build, or the latest at all."""
        builds = self._catalog.builds(template.id)
        latest = next((each for each in builds if each.status == "ready"), builds[0] if builds else None)
        return {
            "templateID": template.id,
            "buildID": latest.id if latest else PREPARED_BUILD,
            "cpuCount": latest.cpus if latest else CPUS,
            "memoryMB": latest.memory_mb if latest else MEMORY_MB,
            "diskSizeMB": DISK_MB,
            "public": template.public,
            "aliases": template.names,
            "names": self._catalog.full(template),
            "createdAt": template.created,
            "updatedAt": template.updated,
            "createdBy": None,
            "lastSpawnedAt": template.last_spawned or None,
            "spawnCount": template.spawned,
            "buildCount": len(builds),
            "envdVersion": ENVD_VERSION,
            "buildStatus": latest.status if latest else "ready",
        }

    async def show(self, request: Request) -> Response:
        template = self._named(request)
        part, headers = listing.page(request, self._catalog.builds(template.id), lambda build: build.id)
        described = self._described(template)
        kept = ("templateID", "public", "aliases", "names", "createdAt", "updatedAt", "lastSpawnedAt", "spawnCount")
        answer = {**{name: described[name] for name in kept}, "builds": [_build(each) for each in part]}
        return JSONResponse(answer, headers=headers)

    async def delete(self, request: Request) -> Response:
        """All of a template; of one with several tags and named with one of them, that tag alone."""
        reference = request.path_params["id"]
        template, (_, tag) = self._catalog.find(reference), parsed(reference)
        if ":" in reference and tag not in template.tags:
            raise wire(404, f"template '{reference}' not found")
        if ":" in reference and len(template.tags) > 1:
            self._catalog.untag(template, [tag])
        else:
            for build in self._catalog.remove(template):
                self._builder.forget(build)
        return Response(status_code=204)

    async def update_v1(self, request: Request) -> Response:
        await self.update(request)
        return Response(status_code=200)

    async def update(self, request: Request) -> Response:
        template, asked = self._named(request), await body(request, bodies.TemplateUpdate)
        if asked.public is not None:
            self._catalog.publish(template, public=asked.public)
        return JSONResponse({"names": self._catalog.full(template)})

    async def alias(self, request: Request) -> Response:
        template = self._catalog.find(request.path_params["alias"])
        return JSONResponse({"templateID": template.id, "public": template.public})

    async def tags(self, request: Request) -> Response:
        found = self._named(request).tags.items()
        return JSONResponse(
            [{"tag": tag, "buildID": pointed["build"], "createdAt": pointed["at"]} for tag, pointed in found]
        )

    async def assign(self, request: Request) -> Response:
        asked = await body(request, bodies.Tags)
        template, build = self._catalog.origin(asked.target)
        pointed = build.id if build is not None else PREPARED_BUILD
        self._catalog.tag(template, pointed, asked.tags)
        return JSONResponse({"tags": asked.tags, "buildID": pointed}, 201)

    async def unassign(self, request: Request) -> Response:
        asked = await body(request, bodies.NoTags)
        self._catalog.untag(self._catalog.find(asked.name), asked.tags)
        return Response(status_code=204)


def _build(build: Build) -> dict[str, Any]:
    return {
        "buildID": build.id,
        "status": build.status,
        "createdAt": build.created,
        "updatedAt": build.updated,
        **({"finishedAt": build.finished} if build.finished else {}),
        "cpuCount": build.cpus,
        "memoryMB": build.memory_mb,
        "diskSizeMB": DISK_MB,
        "envdVersion": ENVD_VERSION,
    }
