"""The PostHog twin: one project that keeps what it is sent, answers questions about it, and evaluates its flags.

Its key is public, so anyone may write events under any group, here as there. What needs a key that is not public
(flag management, queries, persons) takes a personal one: the operator's, or one from `POST /_twin/keys`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from server.twins.core import app
from server.twins.posthog import errors
from server.twins.posthog.routes import routes
from server.twins.posthog.state import Project
from server.twins.posthog.view import Viewing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request

    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site, *, scripts: Path | None = None) -> Starlette:
    """`scripts` is the `dist` folder of an installed posthog-js, for the parts it loads from its host."""
    project = Project(site, scripts)
    # Every origin, mirrored, with credentials: capture is called from any page.
    cors = Middleware(
        CORSMiddleware,
        allow_origin_regex=".*",
        allow_credentials=True,
        allow_methods=["GET", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
    )

    @asynccontextmanager
    async def closing(_app: Starlette) -> AsyncGenerator[None]:
        yield
        project.store.close()

    return app(
        site,
        routes(site, project),
        closing,
        view=Viewing(project).view,
        keep=project,
        credentials=lambda: {"POSTHOG_PERSONAL_API_KEY": project.keys.operators.reveal()},
        middleware=[cors],
        exception_handlers={404: _not_found, 405: _not_allowed},
    )


async def _not_found(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return errors.not_found("Endpoint not found.").response()
    return Response(status_code=404)


async def _not_allowed(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return errors.method_not_allowed(f'Method "{request.method}" not allowed.').response()
    return Response(status_code=405)
