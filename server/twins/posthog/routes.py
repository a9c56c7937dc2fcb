"""PostHog's routes: what anybody may send, what a key that is not public opens, and the twin's own doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.capture import Capture
from server.twins.posthog.capture_v1 import CaptureV1
from server.twins.posthog.events_api import EventsApi
from server.twins.posthog.flag_api import FlagApi
from server.twins.posthog.flag_routes import FlagRoutes
from server.twins.posthog.limits import Limits
from server.twins.posthog.operator import Operator
from server.twins.posthog.people_api import PeopleApi
from server.twins.posthog.private import Door
from server.twins.posthog.query_api import QueryApi
from server.twins.posthog.remote_config import RemoteConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.core import Site
    from server.twins.posthog.state import Project


def routes(site: Site, project: Project) -> list[BaseRoute]:
    limits = Limits(site)
    door, flags = Door(project, limits), FlagRoutes(project, limits)
    parts = (
        *(Capture(project), CaptureV1(project), flags, RemoteConfig(project), FlagApi(project, door, flags)),
        *(EventsApi(project, door), QueryApi(project, door), PeopleApi(project, door), Operator(site, project)),
    )
    return [route for part in parts for route in part.routes()]
