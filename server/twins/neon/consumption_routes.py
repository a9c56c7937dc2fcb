"""What an organization's projects used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.neon import consumption
from server.twins.neon.area import Area
from server.twins.neon.errors import api_error, outside_project
from server.twins.neon.requests import read_choice, read_list, read_moment, read_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.rows import Doc
    from server.twins.neon.state import Rules


class ConsumptionRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.table = [("GET", "/consumption_history/v2/projects", self.consumption)]

    async def consumption(self, request: Request, caller: Caller) -> Response:
        """Newest project first."""
        if caller.project:
            raise outside_project(caller.project)
        org = self.parts.accounts.chosen(caller, request.query_params.get("org_id"))
        plan = self.parts.accounts.plan(org["id"])
        if not plan.paid:
            raise api_error(403, "consumption history is not available on this plan")
        granularity = read_choice(request, "granularity", "", *consumption.REACH)
        metrics = read_list(request, "metrics")
        if not granularity or not metrics or not set(metrics) <= set(consumption.METRICS):
            raise api_error(422, f"granularity and metrics are required; metrics: {', '.join(consumption.METRICS)}")
        now = self.parts.site.clock()
        begin, end = consumption.check_range(read_moment(request, "from"), read_moment(request, "to"), granularity, now)
        limit, cursor = read_number(request, "limit", default=10, most=100), request.query_params.get("cursor", "~")
        only = read_list(request, "project_ids")
        rows = [
            r
            for r in self.rules.projects.of(org["id"])[::-1]
            if r["position"] < cursor and (not only or r["id"] in only)
        ]
        page = rows[:limit]
        await self.look(*(row["id"] for row in page))
        asked: Doc = {"metrics": metrics, "begin": begin, "end": end, "granularity": granularity}
        body: Doc = {"projects": [consumption.history(row, self.parts.meter, plan, **asked) for row in page]}
        return JSONResponse(body | ({"pagination": {"cursor": page[-1]["position"]}} if len(rows) > limit else {}))
