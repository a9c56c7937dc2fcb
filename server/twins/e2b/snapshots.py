"""Snapshots and forks: a sandbox's files, kept as a template or begun with anew at once.

Files only, `/tmp` among them. Memory is not kept: in what begins from one, the start command runs from its beginning.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.errors import StackError
from server.twins.core import WireError, ids
from server.twins.e2b import answers, bodies, listing
from server.twins.e2b.errors import missing, wire
from server.twins.e2b.guard import body
from server.twins.e2b.record import Record
from server.twins.e2b.templates import Template, parsed

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.e2b.guard import Handler
    from server.twins.e2b.state import Sandboxes


class Snapshots:
    def __init__(self, sandboxes: Sandboxes, domain: str) -> None:
        self._sandboxes = sandboxes
        self._domain = domain

    def table(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", "/sandboxes/{id}/snapshots", self.create),
            ("POST", "/sandboxes/{id}/fork", self.fork),
            ("GET", "/snapshots", self.list),
        ]

    async def create(self, request: Request) -> Response:
        asked = await body(request, bodies.Snapshot)
        record = self._running(request)
        catalog = self._sandboxes.catalog
        build = catalog.begin(asked.name or "", [], record.cpus, record.memory_mb, sandbox=record.id)
        build.workdir, build.start, build.start_envs = record.workdir, record.start, record.start_envs
        build.ready = record.ready
        try:
            await self._take(build.id, record)
        except BaseException:
            catalog.abandon(build)
            raise
        catalog.finish(build)
        return JSONResponse(self._info(catalog.find(build.template), build.tags[0]), 201)

    async def list(self, request: Request) -> Response:
        query, found = request.query_params, list[tuple[Template, str]]()
        name, _, tag = query.get("name", "").partition(":")
        wanted = parsed(name)[0] if name else ""
        for template in self._sandboxes.catalog.all():
            if (
                template.sandbox
                and query.get("sandboxID", template.sandbox) == template.sandbox
                and (not wanted or wanted in (template.id, *template.names))
            ):
                found += [(template, each) for each in template.tags if tag in ("", each)]
        part, headers = listing.page(request, found, lambda item: f"{item[0].id}:{item[1]}")
        return JSONResponse([self._info(template, each) for template, each in part], headers=headers)

    def _info(self, template: Template, tag: str) -> dict[str, Any]:
        names = self._sandboxes.catalog.full(template, tag)
        return {"snapshotID": names[0] if names else f"{template.id}:{tag}", "names": names}

    async def fork(self, request: Request) -> Response:
        asked = await body(request, bodies.Fork)
        source = self._running(request)
        self._sandboxes.limits.creation(self._sandboxes.running(), asked.count)
        image = f"fork-{ids.lower(12)}"
        await self._take(image, source)
        try:
            made = await asyncio.gather(*(self._fork(source, image, asked.timeout) for _ in range(asked.count)))
        finally:
            self._sandboxes.images.remove(image)
        return JSONResponse(made, 201)

    async def _fork(self, source: Record, image: str, seconds: int) -> dict[str, Any]:
        now = self._sandboxes.site.clock()
        record = Record.of(vars(source))
        record.id, record.door, record.port = "i" + ids.lower(19), 0, 0
        record.token = ids.token("", 40) if source.token else ""
        record.traffic_token = ids.token("", 40) if source.traffic_token else ""
        record.started, record.end = now.isoformat(), (now + timedelta(seconds=seconds)).isoformat()
        record.timeout, record.state = seconds, "running"
        try:
            await self._sandboxes.make(record, image)
        except StackError as error:
            return {"error": {"code": 500, "message": error.message}}
        except WireError as error:
            return {"error": error.body}
        return {"sandbox": answers.brief(record, self._domain)}

    def _running(self, request: Request) -> Record:
        """Raises 404 for one that is not running, too: only those can be snapshotted."""
        record = self._sandboxes.get(request.path_params["id"])
        if record.state != "running":
            raise missing(record.id)
        return record

    async def _take(self, image: str, record: Record) -> None:
        """Archive its files while it stands still."""
        async with self._sandboxes.lock(record.id):
            machine = self._sandboxes.up.get(record.id)
            try:
                if machine is not None:
                    await machine.freeze()
                await self._sandboxes.images.take(image, record.id, machine)
            except StackError as error:
                raise wire(500, error.message) from None
            finally:
                if machine is not None and machine.record.state == "running":
                    await machine.thaw()
        self._sandboxes.log(record.id).add("info", "Sandbox snapshotted")
