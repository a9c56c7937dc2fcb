"""E2B's control API: sandboxes over REST, in versions 1 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.e2b import answers, bodies, listing, network
from server.twins.e2b.errors import missing, wire
from server.twins.e2b.guard import body

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.e2b.guard import Handler
    from server.twins.e2b.state import Sandboxes


class Control:
    def __init__(self, sandboxes: Sandboxes, domain: str) -> None:
        self._sandboxes = sandboxes
        self._domain = domain

    def table(self) -> list[tuple[str, str, Handler]]:
        """Every route with its handler. Version 2 differs from 1 in how a sandbox is made, listed and connected to."""
        return [
            ("POST", "/sandboxes", self.create_v1),
            ("POST", "/v2/sandboxes", self.create),
            ("GET", "/sandboxes", self.list_v1),
            ("GET", "/v2/sandboxes", self.list),
            ("GET", "/sandboxes/{id}", self.show),
            ("DELETE", "/sandboxes/{id}", self.kill),
            ("POST", "/sandboxes/{id}/connect", self.connect_v1),
            ("POST", "/v2/sandboxes/{id}/connect", self.connect),
            ("POST", "/sandboxes/{id}/resume", self.resume),
            ("POST", "/sandboxes/{id}/pause", self.pause),
            ("POST", "/sandboxes/{id}/timeout", self.set_timeout),
            ("POST", "/sandboxes/{id}/refreshes", self.refresh),
            ("PUT", "/sandboxes/{id}/network", self.set_network),
        ]

    async def create_v1(self, request: Request) -> Response:
        return await self._create(request, await body(request, bodies.NewSandboxV1))

    async def create(self, request: Request) -> Response:
        return await self._create(request, await body(request, bodies.NewSandbox))

    async def _create(self, request: Request, given: bodies.NewSandbox) -> Response:
        asked = given.model_dump(exclude_none=True)
        self._within_plan(given.timeout)
        network.checked(asked.get("network", {}))
        asked["autoResume"] = bool(given.autoResume and given.autoResume.enabled)
        if asked["autoResume"] and not given.autoPauseMemory:
            raise wire(400, "autoResume cannot be combined with autoPauseMemory: false")
        if given.volumeMounts:
            raise wire(400, "Volume mounts are not enabled.")
        if given.iam and given.iam.get("tokens"):
            raise wire(400, "Workload identity is not available for your team.")
        open_to_all = not (given.network and given.network.allowPublicTraffic is False)
        if not asked.get("secure", True) and not open_to_all:
            raise wire(400, "You cannot create a sandbox without public access unless you enable secure envd access.")
        record = await self._sandboxes.create(asked, request.headers.get("idempotency-key"))
        return JSONResponse(answers.brief(record, self._domain), 201)

    def _within_plan(self, seconds: int) -> None:
        hours = self._sandboxes.limits.plan.hours
        if seconds > hours * 3600:
            raise wire(400, f"Timeout cannot be greater than {hours} hours")

    async def list_v1(self, request: Request) -> Response:
        found = listing.matching(request.query_params, self._sandboxes.all(), running_only=True)
        return JSONResponse([answers.listed(record) for record in found])

    async def list(self, request: Request) -> Response:
        found = listing.matching(request.query_params, self._sandboxes.all())
        part, headers = listing.page(request, found, lambda record: record.id)
        running = sum(record.state == "running" for record in found)
        headers["x-total-running"] = str(running)
        return JSONResponse([answers.listed(record) for record in part], headers=headers)

    async def show(self, request: Request) -> Response:
        return JSONResponse(answers.detail(self._sandboxes.get(request.path_params["id"]), self._domain))

    async def kill(self, request: Request) -> Response:
        await self._sandboxes.kill(request.path_params["id"])
        return Response(status_code=204)

    async def connect_v1(self, request: Request) -> Response:
        asked = await body(request, bodies.Timeout)
        return await self._connect(request, asked.timeout)

    async def connect(self, request: Request) -> Response:
        asked = await body(request, bodies.Connect)
        return await self._connect(request, asked.timeout, reboot=not asked.memory)

    async def _connect(self, request: Request, seconds: int, *, reboot: bool = False) -> Response:
        self._within_plan(seconds)
        record, resumed = await self._sandboxes.connect(request.path_params["id"], seconds, reboot=reboot)
        return JSONResponse(answers.brief(record, self._domain), 201 if resumed else 200)

    async def resume(self, request: Request) -> Response:
        asked = await body(request, bodies.Resume)
        sandbox_id = request.path_params["id"]
        if self._sandboxes.get(sandbox_id).state == "running":
            raise wire(409, f"Sandbox {sandbox_id} is already running")
        return await self._connect(request, asked.timeout)

    async def pause(self, request: Request) -> Response:
        asked = await body(request, bodies.Pause)
        await self._sandboxes.pause(request.path_params["id"], memory=asked.memory)
        return Response(status_code=204)

    async def set_timeout(self, request: Request) -> Response:
        asked = await body(request, bodies.Timeout)
        self._sandboxes.set_timeout(request.path_params["id"], asked.timeout)
        return Response(status_code=204)

    async def refresh(self, request: Request) -> Response:
        """Keep it alive for at least this long."""
        asked = await body(request, bodies.Refresh)
        sandbox_id = request.path_params["id"]
        if self._sandboxes.get(sandbox_id).state != "running":
            raise missing(sandbox_id)
        await self._sandboxes.connect(sandbox_id, asked.duration)
        return Response(status_code=204)

    async def set_network(self, request: Request) -> Response:
        asked: dict[str, Any] = (await body(request, bodies.NetworkUpdate)).model_dump(exclude_none=True)
        internet = asked.pop("allow_internet_access", None)
        network.checked(asked)
        await self._sandboxes.set_network(request.path_params["id"], asked, internet=internet)
        return Response(status_code=204)
