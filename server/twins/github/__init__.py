"""The GitHub twin: the REST API and git's smart HTTP, on one address, over real bare repositories.

The operator's token is that of the user `mk0r`, who owns the organisation `mk0r-apps` and a GitHub App installed on
both. A repository lies in `repositories/<id>.git`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.local.identity import Identity
from server.twins.core import app
from server.twins.github.door import Door
from server.twins.github.earlier import move_repositories
from server.twins.github.git import Git
from server.twins.github.git.hooks import write_hooks
from server.twins.github.keep import HubKeep
from server.twins.github.operator import app_credentials
from server.twins.github.routes import all_routes
from server.twins.github.state import Hub
from server.twins.github.view import Viewing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site, *, folder: Path | None = None, identity: Identity | None = None) -> Starlette:
    """`folder` holds the repositories and the hooks; git runs as `identity`, which must be able to reach it."""
    place, runs_as = folder or site.data, identity or Identity()
    hub = Hub(site, Git(place / "hooks", runs_as), place / "repositories")
    door = Door(hub)

    async def not_found(request: Request, _error: Exception) -> Response:
        return door.unrouted(request)

    async def server_error(request: Request, _error: Exception) -> Response:
        return door.broken(request)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        prepare(place, site.data, runs_as)
        yield
        await hub.settle()

    return app(
        site,
        all_routes(hub, door),
        lifespan,
        view=Viewing(hub).view,
        keep=HubKeep(hub, runs_as),
        credentials=lambda: app_credentials(hub),
        exception_handlers={404: not_found, 405: not_found, 500: server_error},
    )


def prepare(place: Path, data: Path, runs_as: Identity) -> None:
    """The repositories' folder, for git's own identity alone, and the hooks, which it may only read."""
    place.mkdir(parents=True, exist_ok=True)
    if runs_as.uid is not None:
        place.chmod(0o755)
    repositories = place / "repositories"
    move_repositories(data / "repositories", repositories, runs_as)
    repositories.mkdir(exist_ok=True)
    repositories.chmod(0o700)
    runs_as.own(repositories)
    write_hooks(place / "hooks")
