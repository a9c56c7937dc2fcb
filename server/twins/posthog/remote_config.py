"""What posthog-js reads before it does anything, and the scripts it loads only when they are needed.

Source: `models/remote_config.py`, posthog-js 1.449 `remote-config.js` and `external-scripts-loader.js`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from server.twins.posthog import errors
from server.twins.posthog.capture import both

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.posthog.state import Project

Doc = dict[str, Any]

_SCRIPT = re.compile(r"(?:[0-9][0-9.]*/)?([a-z0-9][a-z0-9.-]*\.js(?:\.map)?)")

EMPTY_LISTS: dict[str, Doc] = {
    "/api/surveys": {"surveys": [], "survey_config": None},
    "/api/web_experiments": {"experiments": []},
    "/api/product_tours": {"product_tours": []},
    "/api/early_access_features": {"earlyAccessFeatures": []},
}
"""What an SDK asks for that this project can define none of."""


def config_of(project: Project) -> Doc:
    """The project's settings as the SDK reads them."""
    switched = project.settings()
    performance, vitals = switched["capture_performance_opt_in"], switched["autocapture_web_vitals_opt_in"]
    exceptions, limited = switched["autocapture_exceptions_opt_in"], "recordings" in project.limited()
    recording = switched["session_recording_opt_in"] and not limited
    return {
        "supportedCompression": ["gzip", "gzip-js"],
        "hasFeatureFlags": any(flag["active"] for flag in project.flags.all()),
        "captureDeadClicks": switched["capture_dead_clicks"],
        "capturePerformance": {"network_timing": performance, "web_vitals": vitals, "web_vitals_allowed_metrics": None}
        if performance or vitals
        else False,
        "autocapture_opt_out": switched["autocapture_opt_out"],
        "autocaptureExceptions": exceptions,
        "analytics": {"endpoint": "/i/v0/e/"},
        "elementsChainAsString": True,
        "errorTracking": {"autocaptureExceptions": exceptions, "suppressionRules": []},
        "logs": {"captureConsoleLogs": False},
        "sessionRecording": {"endpoint": "/s/", "consoleLogRecordingEnabled": False, "recorderVersion": "v2"}
        if recording
        else False,
        **({"quotaLimited": ["recordings"]} if limited else {}),
        "heatmaps": switched["heatmaps_opt_in"],
        "conversations": False,
        # Told of surveys at all, even of none, posthog-js loads the script that would show them.
        **({"surveys": False} if project.script("surveys.js") else {}),
        "productTours": False,
        "defaultIdentifiedOnly": True,
        "siteApps": [],
    }


class RemoteConfig:
    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        return [
            *both("/array/{token}/config.js", self._script, "GET"),
            *both("/array/{token}/array.js", self._array, "GET"),
            *both("/array/{token}/config", self._config, "GET"),
            Route("/static/{path:path}", self._static, methods=["GET"]),
            *(route for path in EMPTY_LISTS for route in both(path, self._empty_list, "GET")),
        ]

    async def _config(self, request: Request) -> Response:
        return JSONResponse({"token": self._known(request), **config_of(self._project)})

    async def _script(self, request: Request) -> Response:
        return Response(self._registration(self._known(request)), media_type="application/javascript")

    async def _array(self, request: Request) -> Response:
        """The configuration and the SDK in one, for pages that load it by a script tag."""
        registration, sdk = self._registration(self._known(request)), self._project.script("array.js")
        if sdk is None:
            return PlainTextResponse("Not found", 404)
        return Response(f"{registration}\n{sdk.read_text()}", media_type="application/javascript")

    def _registration(self, token: str) -> str:
        config = {key: value for key, value in config_of(self._project).items() if key != "siteApps"}
        entry = json.dumps({"config": {"token": token, **config}, "siteApps": []})
        registry = "window._POSTHOG_REMOTE_CONFIG"
        return f"(function(){{{registry}={registry}||{{}};{registry}[{json.dumps(token)}]={entry};}})();"

    def _known(self, request: Request) -> str:
        token = request.path_params["token"]
        if not self._project.knows(token):
            raise errors.not_found()
        return token

    async def _static(self, request: Request) -> Response:
        """posthog-js's own parts, from the package the starter has installed; what is not there is not found."""
        named = _SCRIPT.fullmatch(request.path_params["path"])
        found = self._project.script(named[1]) if named else None
        return FileResponse(found) if found else PlainTextResponse("Not found", 404)

    async def _empty_list(self, request: Request) -> Response:
        if not self._project.knows(request.query_params.get("token") or request.query_params.get("api_key") or ""):
            raise errors.project_token_invalid()
        return JSONResponse(EMPTY_LISTS[request.url.path.rstrip("/")])
