"""The Resend twin: the team's API over a real mailbox.

One sending domain, `mk0r.localhost`, is verified; mail from any other is refused, as Resend refuses it, until it is
verified too. Each mail that leaves is an `.eml` file in `mailbox/`; `GET /_twin/mailbox` lists them, and `/_twin/`
shows them to a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core import app
from server.twins.resend.door import Door
from server.twins.resend.operator import Operator
from server.twins.resend.routes import routes
from server.twins.resend.state import Team
from server.twins.resend.view import Viewing

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site) -> Starlette:
    team = Team(site)
    door = Door(team)
    return app(
        site,
        [*Operator(site, team).routes(), *routes(door, team)],
        team.chores.running,
        view=Viewing(site, team).view,
        keep=team,
        exception_handlers={404: door.no_such_route, 405: door.not_allowed, 500: door.failed},
    )
