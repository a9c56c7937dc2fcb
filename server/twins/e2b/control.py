"""E2B's control API: sandboxes over REST. Version 1 and 2 routes, the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.errors import StackError
from server.twins.core.auth import same
from server.twins.e2b.errors import wire
from server.twins.e2b.state import LONGEST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.e2b.state import Record, Sandboxes

    Handler = Callable[[Request], Awaitable[Response]]

ENVD_VERSION = "0.6.2"
"""Of the envd this twin speaks like; from 0.6.3 on the SDK would expect newer ways to watch folders."""

PAGE = 100


class NewSandbox(BaseModel):
    """The body of a create; names as E2B's specification has them (`NewSandbox`)."""

    templateID: str  # noqa: N815 - on the wire
    timeout: int = Field(default=15, ge=0, le=LONGEST)
    autoPause: bool = False  # noqa: N815
    autoResume: dict[str, Any] | None = None  # noqa: N815
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    envVars: dict[str, str] = Field(default_factory=dict[str, str])  # noqa: N815
    network: dict[str, Any] | None = None


class Timeout(BaseModel):
    timeout: int = Field(default=15, ge=0, le=LONGEST)


def routes(site: Site, sandboxes: Sandboxes) -> list[Route]:
    """Every control route, each behind `X-API-KEY`."""
    domain = site.base_url.split("://", 1)[-1].replace("127.0.0.1", "localhost")
    api = _Control(site, sandboxes, domain)
    table: list[tuple[str, str, Handler]] = [
        ("POST", "/sandboxes", api.create),
        ("GET", "/sandboxes", api.list),
        ("GET", "/sandboxes/{id}", api.show),
        ("DELETE", "/sandboxes/{id}", api.kill),
        ("POST", "/sandboxes/{id}/connect", api.connect),
        ("POST", "/sandboxes/{id}/resume", api.connect),
        ("POST", "/sandboxes/{id}/pause", api.pause),
        ("POST", "/sandboxes/{id}/timeout", api.set_timeout),
        ("GET", "/sandboxes/{id}/metrics", api.metrics),
    ]
    return [
        Route(prefix + path, api.guarded(handler), methods=[method])
        for prefix in ("", "/v2")
        for method, path, handler in table
    ]


class _Control:
    def __init__(self, site: Site, sandboxes: Sandboxes, domain: str) -> None:
        self._site = site
        self._sandboxes = sandboxes
        self._domain = domain

    def guarded(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            key = request.headers.get("x-api-key", "")
            if not key:
                raise wire(401, "Invalid API key, please visit https://e2b.dev/docs/quickstart/api-key")
            if not same(key, self._site.credential):
                raise wire(401, "Invalid API key: the team does not exist or the key was revoked")
            try:
                return await handler(request)
            except ValidationError as error:
                first = error.errors()[0]
                raise wire(400, f"error in body at {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
            except StackError as error:
                raise wire(500, error.message) from None

        return checked

    async def create(self, request: Request) -> Response:
        asked = NewSandbox.model_validate_json(await request.body()).model_dump()
        resume: dict[str, Any] = asked["autoResume"] or {}
        asked["autoResume"] = bool(resume.get("enabled"))
        record = await self._sandboxes.create(asked, request.headers.get("idempotency-key"))
        return JSONResponse(self._brief(record), 201)

    async def list(self, request: Request) -> Response:
        query = request.query_params
        states = [state for given in query.getlist("state") for state in given.split(",")] or ["running", "paused"]
        wanted = dict(parse_qsl(query.get("metadata", "")))
        limit = min(int(query.get("limit") or PAGE), PAGE)
        start = int(query.get("nextToken") or 0)
        found = [
            record
            for record in sorted(self._sandboxes.all(), key=lambda record: record.started, reverse=True)
            if record.state in states and wanted.items() <= {unquote(k): v for k, v in record.metadata.items()}.items()
        ]
        more = {"x-next-token": str(start + limit)} if start + limit < len(found) else None
        return JSONResponse([self._listed(record) for record in found[start : start + limit]], headers=more)

    async def show(self, request: Request) -> Response:
        record = self._sandboxes.get(request.path_params["id"])
        return JSONResponse({**self._listed(record), **self._brief(record), "lifecycle": _lifecycle(record)})

    async def kill(self, request: Request) -> Response:
        await self._sandboxes.kill(request.path_params["id"])
        return Response(status_code=204)

    async def connect(self, request: Request) -> Response:
        asked = Timeout.model_validate_json(await request.body() or b"{}")
        record, resumed = await self._sandboxes.connect(request.path_params["id"], asked.timeout)
        return JSONResponse(self._brief(record), 201 if resumed else 200)

    async def pause(self, request: Request) -> Response:
        await self._sandboxes.pause(request.path_params["id"])
        return Response(status_code=204)

    async def set_timeout(self, request: Request) -> Response:
        asked = Timeout.model_validate_json(await request.body() or b"{}")
        self._sandboxes.set_timeout(request.path_params["id"], asked.timeout)
        return Response(status_code=204)

    async def metrics(self, request: Request) -> Response:
        self._sandboxes.get(request.path_params["id"])
        return JSONResponse([])

    def _brief(self, record: Record) -> dict[str, Any]:
        return {
            "templateID": record.template,
            "sandboxID": record.id,
            "clientID": "local",
            "envdVersion": ENVD_VERSION,
            "envdAccessToken": record.token,
            "trafficAccessToken": None,
            "domain": self._domain,
            "alias": record.template,
        }

    def _listed(self, record: Record) -> dict[str, Any]:
        return {
            "templateID": record.template,
            "alias": record.template,
            "sandboxID": record.id,
            "clientID": "local",
            "startedAt": record.started,
            "endAt": record.end,
            "cpuCount": 2,
            "memoryMB": 2048,
            "diskSizeMB": 10240,
            "state": record.state,
            "envdVersion": ENVD_VERSION,
            "metadata": record.metadata,
        }


def _lifecycle(record: Record) -> dict[str, Any]:
    return {"autoResume": record.auto_resume, "onTimeout": record.on_timeout}
