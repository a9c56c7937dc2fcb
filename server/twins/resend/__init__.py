"""The Resend twin: the team's API over a real mailbox.

One sending domain, `mk0r.localhost`, is verified; mail from any other is refused, as Resend refuses it.
Each mail is an `.eml` file in `mailbox/`, and `GET /_twin/mailbox` lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core import app
from server.twins.resend import errors
from server.twins.resend.routes import routes
from server.twins.resend.state import Team

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site) -> Starlette:
    return app(site, routes(site, Team(site)), exception_handlers={404: _not_found, 405: _not_allowed})


async def _not_found(_request: Request, _error: Exception) -> Response:
    return errors.no_such_route().response()


async def _not_allowed(_request: Request, _error: Exception) -> Response:
    return errors.method_not_allowed().response()
