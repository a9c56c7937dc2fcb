"""envd's plain routes beside `/files`: whether it is there, what the sandbox uses, what its processes are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.errors import StackError
from server.twins.e2b.errors import NOT_FOUND, FileTrouble, envd_error, proxy_error
from server.twins.e2b.metrics import MIB

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.e2b.front import Front
    from server.twins.e2b.metrics import Metrics
    from server.twins.e2b.state import Sandboxes

INTERNAL = ("/init", "/freeze", "/unfreeze", "/collapse", "/fsfreeze", "/fsthaw", "/upgrade")
"""The orchestrator's own, which the proxy before the sandboxes lets nobody else reach."""


def routes(front: Front, sandboxes: Sandboxes, metrics: Metrics) -> list[Route]:
    async def health(request: Request) -> Response:
        """Whether a sandbox is running, or, where none is named, whether the API is. Asking does not bring one up: the
        SDK asks after one that has just died."""
        name = front.named(request)
        if not name:
            return Response("Health check successful")
        if not sandboxes.is_running(name):
            raise proxy_error(name, NOT_FOUND)
        return Response(status_code=204)

    async def usage(request: Request) -> Response:
        machine = await front.for_envd(request)
        try:
            sample = await metrics.now(sandboxes, machine)
        except (StackError, FileTrouble, OSError):
            raise envd_error(500, "the sandbox could not be measured") from None
        told = sample.wire(machine.record.cpus, machine.record.memory_mb)
        return JSONResponse(
            {
                "ts": told["timestampUnix"],
                "cpu_count": told["cpuCount"],
                "cpu_used_pct": told["cpuUsedPct"],
                "mem_total": told["memTotal"],
                "mem_used": told["memUsed"],
                "mem_cache": told["memCache"],
                "mem_total_mib": told["memTotal"] // MIB,
                "mem_used_mib": told["memUsed"] // MIB,
                "disk_used": told["diskUsed"],
                "disk_total": told["diskTotal"],
            }
        )

    async def environment(request: Request) -> Response:
        machine = await front.for_envd(request)
        return JSONResponse(machine.record.envs)

    async def internal(request: Request) -> Response:
        return JSONResponse({"sandboxId": front.named(request), "message": "Not found", "code": 404}, 404)

    return [
        Route("/health", health, methods=["GET"]),
        Route("/metrics", usage, methods=["GET"]),
        Route("/envs", environment, methods=["GET"]),
        *(Route(path, internal, methods=["POST"]) for path in INTERNAL),
    ]
