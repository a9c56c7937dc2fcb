"""The PostHog twin: one project that keeps what it is sent, by group.

Its key is public, so anyone may write events under any group, here as there. `GET /_twin/events?group=`
reads them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from server.twins.core import app
from server.twins.posthog.routes import Routes
from server.twins.posthog.state import Project

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site) -> Starlette:
    # Every origin, mirrored, with credentials: capture is called from any page.
    cors = Middleware(
        CORSMiddleware,
        allow_origin_regex=".*",
        allow_credentials=True,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
    )
    return app(site, Routes(site, Project(site)).all(), middleware=[cors])
