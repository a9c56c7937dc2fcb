"""The operator's routes: the whole machine, behind the loopback token of the server's own 0600 file."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_loop.web.api import NO_STORE
from agent_loop.web.asked import body
from agent_loop.web.guard import refuse
from agent_loop.web.twins import twins_view
from server.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from agent_loop.web.api import Api
    from agent_loop.web.boot import Boot
MOST_LISTED = 200


class Operator:
    """Routes that see every session and stop the stack."""

    def __init__(self, boot: Boot, api: Api, stop: Callable[[], None]) -> None:
        self._boot = boot
        self._api = api
        self._stop = stop

    def routes(self) -> list[Route]:
        return [
            Route("/api/sessions", self._only(self.sessions), methods=["GET"]),
            Route("/api/doctor", self._only(self.doctor)),
            Route("/api/twins", self._only(self.twins)),
            Route("/api/reap", self._only(self.reap), methods=["POST"]),
            Route("/api/down", self._only(self.down), methods=["POST"]),
        ]

    def _only(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            if not self._api.is_operator(request):
                return refuse(
                    401, "not_operator", "This needs the operator's token.", "Use the mk0r command on this machine."
                )
            return await handler(request)

        return checked

    async def sessions(self, request: Request) -> Response:
        """The newest, and how many more there are: listing ten thousand would hold up everybody else."""
        sessions = self._api.parts().core.sessions
        newest = sessions.all(MOST_LISTED)
        more = max(sessions.count() - len(newest), 0)
        return JSONResponse({"sessions": await self._api.view(*newest), "more": more}, headers=NO_STORE)

    async def doctor(self, request: Request) -> Response:
        from server.local import doctor

        found = await asyncio.to_thread(doctor.examine, self._boot.home, os.environ)
        pool = self._boot.parts.core.pool.view() if self._boot.parts else None
        return JSONResponse(asdict(found) | {"pool": pool}, headers=NO_STORE)

    async def twins(self, request: Request) -> Response:
        """Every twin, with the lines that point an SDK at it; those not running yet are started."""
        from server.local import facts, stack

        try:
            told = await stack.up(self._boot.home, self._boot.report, which=facts.VENDORS)
        except StackError as error:
            return refuse(503, error.code, error.message, error.next_action)
        return JSONResponse({"twins": await twins_view(told)}, headers=NO_STORE)

    async def reap(self, request: Request) -> Response:
        """One sweep: what nobody claims. Only `{"apply": true}` removes anything."""
        apply = (await body(request)).get("apply") is True
        sweep = await self._api.parts().core.reaper.sweep(apply=apply)
        orphans = [
            {"leg": orphan.leg, "app_id": orphan.listed.app_id, "made_at": orphan.listed.made_at.isoformat()}
            for orphan in sweep.orphans
        ]
        return JSONResponse({**vars(sweep), "orphans": orphans}, headers=NO_STORE)

    async def down(self, request: Request) -> Response:
        """Stop the server. The stack outlives it; `mk0r down` stops that too."""
        self._stop()
        return JSONResponse({"stopping": True}, status_code=202, headers=NO_STORE)
