"""The GitHub twin: the REST API and git's smart HTTP, on one address, over real bare repositories.

The operator's token is that of the user `mk0r`, who owns the organisation `mk0r-apps`. A repository lies in
`repositories/<id>.git`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core import app
from server.twins.github import errors
from server.twins.github.routes import Routes, dressed
from server.twins.github.state import Hub

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site) -> Starlette:
    routes = Routes(site, Hub(site)).all()
    return app(site, routes, exception_handlers={404: _not_found, 405: _not_found})


async def _not_found(_request: Request, _error: Exception) -> Response:
    return dressed(errors.not_found().response())
