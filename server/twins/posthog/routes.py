"""What PostHog's SDKs call: capture in its many forms, flags, remote config, assets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core import WireError, ids
from server.twins.core.admin import admin_only
from server.twins.core.auth import bearer
from server.twins.posthog import errors
from server.twins.posthog.payload import events_of, read
from server.twins.posthog.state import checked_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.posthog.state import Project

CAPTURE = ("/e", "/i/v0/e", "/capture", "/track", "/engage")
BATCH = ("/batch", "/i/v0/ai/batch")
LARGEST_EVENT, LARGEST_BATCH = 2 * 1024 * 1024, 20 * 1024 * 1024

CONFIG: dict[str, Any] = {
    "supportedCompression": ["gzip", "gzip-js"],
    "hasFeatureFlags": False,
    "captureDeadClicks": False,
    "capturePerformance": False,
    "autocapture_opt_out": False,
    "autocaptureExceptions": False,
    "analytics": {"endpoint": "/i/v0/e/"},
    "elementsChainAsString": True,
    "sessionRecording": False,
    "heatmaps": False,
    "surveys": False,
    "defaultIdentifiedOnly": True,
    "siteApps": [],
}
"""A project that has switched nothing on, so the SDK asks for no further scripts."""


class Routes:
    def __init__(self, site: Site, project: Project) -> None:
        self._site = site
        self._project = project

    def all(self) -> list[Route]:
        capture, capture_batch = self._capture(LARGEST_EVENT), self._capture(LARGEST_BATCH)
        return [
            *(route for path in CAPTURE for route in _both(path, capture, "GET", "POST")),
            *(route for path in BATCH for route in _both(path, capture_batch, "GET", "POST")),
            *_both("/i/v1/analytics/events", self._capture_v1, "POST"),
            *_both("/s", self._recording, "POST"),
            *_both("/flags", self._flags, "POST"),
            *_both("/array/{token}/config.js", self._config_script, "GET"),
            *_both("/array/{token}/config", self._config, "GET"),
            Route("/static/{path:path}", self._asset, methods=["GET"]),
            Route("/_twin/events", admin_only(self._site, self._events), methods=["GET"]),
        ]

    def _capture(self, limit: int) -> Callable[[Request], Awaitable[Response]]:
        async def capture(request: Request) -> Response:
            payload = read(await request.body(), request.headers, request.query_params, limit)
            events, envelope = events_of(payload)
            token = self._project.token_of(events, envelope)
            self._project.capture(events, token, envelope.get("sent_at"))
            if request.query_params.get("beacon") == "1":
                return Response(status_code=204)
            return JSONResponse({"status": "Ok"})

        return capture

    async def _capture_v1(self, request: Request) -> Response:
        """The newer form: the key as Bearer token, and a result for every event."""
        token = bearer(request)
        if not token:
            raise errors.no_token()
        checked_token(token)
        events, envelope = events_of(read(await request.body(), request.headers, {}, LARGEST_BATCH))
        results: dict[str, dict[str, str]] = {}
        for event in events:
            try:
                self._project.capture([event], token, envelope.get("created_at"))
                results[str(event.get("uuid"))] = {"result": "ok"}
            except WireError as error:
                results[str(event.get("uuid"))] = {"result": "drop", "details": error.body}
        return JSONResponse({"results": results})

    async def _recording(self, _request: Request) -> Response:
        """A session's recording, which this project has switched off: taken and not kept."""
        return JSONResponse({"status": "Ok"})

    async def _flags(self, request: Request) -> Response:
        found = read(await request.body(), request.headers, request.query_params, LARGEST_EVENT)
        asked: dict[str, Any] = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        token = asked.get("token") or asked.get("api_key")
        if not token:
            raise errors.flags_no_token()
        if not self._project.knows(str(token)):
            raise errors.flags_unknown_token()
        if not asked.get("distinct_id"):
            raise errors.flags_no_distinct_id()
        return JSONResponse({"errorsWhileComputingFlags": False, "flags": {}, "requestId": ids.uuid()})

    async def _config(self, request: Request) -> Response:
        return JSONResponse({"token": self._known(request), **CONFIG})

    async def _config_script(self, request: Request) -> Response:
        token = self._known(request)
        entry = json.dumps({"config": {"token": token, **CONFIG}, "siteApps": []})
        registry = "window._POSTHOG_REMOTE_CONFIG"
        script = f"(function(){{{registry}={registry}||{{}};{registry}[{json.dumps(token)}]={entry};}})();"
        return Response(script, media_type="application/javascript")

    def _known(self, request: Request) -> str:
        token = request.path_params["token"]
        if not self._project.knows(token):
            raise WireError(404, "Not found")
        return token

    async def _asset(self, _request: Request) -> Response:
        """An app brings posthog-js from npm; what that would load from here, this project has switched off."""
        return Response("", media_type="application/javascript")

    async def _events(self, request: Request) -> Response:
        """What was captured: `?group=` a group's key, `?event=` a name."""
        asked = request.query_params
        found = self._project.events(asked.get("group"), asked.get("event"))
        return JSONResponse({"events": found, "groups": self._project.groups()})


def _both(path: str, handler: Callable[[Request], Awaitable[Response]], *methods: str) -> list[Route]:
    """With and without a slash at the end; a redirect between them would cost a browser its POST body."""
    return [Route(path + slash, handler, methods=[*methods], max_body_size=LARGEST_BATCH) for slash in ("", "/")]
