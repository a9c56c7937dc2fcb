"""Managing feature flags: `/api/projects/{id}/feature_flags` (PostHog docs, API, Feature flags)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.posthog import errors
from server.twins.posthog.definitions import managed
from server.twins.posthog.filters import all_wanted, payloads
from server.twins.posthog.flag_fields import FlagFields
from server.twins.posthog.private import body_of, page, page_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from server.twins.posthog.flag_routes import FlagRoutes
    from server.twins.posthog.private import Door
    from server.twins.posthog.state import Project

Doc = dict[str, Any]

NO_HARD_DELETE = 'Hard delete of this model is not allowed. Use a patch API call to set "deleted" to true'


class FlagApi:
    def __init__(self, project: Project, door: Door, public: FlagRoutes) -> None:
        self._project = project
        self._flags = project.flags
        self._door = door
        self._public = public

    def routes(self) -> list[Route]:
        path = "/feature_flags"
        one = {"GET": self._show, "PATCH": self._change, "PUT": self._change, "DELETE": self._refuse_to_delete}
        return [
            *self._door.routes(path, "feature_flag", "manage", {"GET": self._list, "POST": self._create}),
            *self._door.routes(
                f"{path}/local_evaluation", "feature_flag", "local_evaluation", {"GET": self._definitions}
            ),
            *self._door.routes(f"{path}/{{id}}/remote_config", "feature_flag", "remote_config", {"GET": self._payload}),
            *self._door.routes(f"{path}/{{id}}", "feature_flag", "manage", one),
        ]

    async def _list(self, request: Request) -> Response:
        asked, (limit, offset) = request.query_params, page_of(request)
        flags = self._flags.all()
        if search := asked.get("search", "").lower():
            flags = [flag for flag in flags if search in flag["key"].lower() or search in flag["name"].lower()]
        if (active := asked.get("active")) in ("true", "false"):
            flags = [flag for flag in flags if flag["active"] == (active == "true")]
        shown = [managed(flag) for flag in flags[offset : offset + limit]]
        return JSONResponse(page(request, shown, limit, offset, len(flags)))

    async def _create(self, request: Request) -> Response:
        fields = FlagFields(self._flags, self._project.now()).read(await body_of(request))
        return JSONResponse(managed(self._flags.add(fields)), 201)

    async def _show(self, request: Request) -> Response:
        return JSONResponse(managed(self._asked_for(request)))

    async def _change(self, request: Request) -> Response:
        flag, body = self._asked_for(request), await body_of(request)
        fields = FlagFields(self._flags, self._project.now(), flag).read(body)
        if fields.get("deleted"):
            self._demand_unused(flag)
        return JSONResponse(managed(self._flags.change(flag, fields)))

    async def _refuse_to_delete(self, request: Request) -> Response:
        self._asked_for(request)
        raise errors.method_not_allowed(NO_HARD_DELETE)

    async def _definitions(self, request: Request) -> Response:
        return self._public.local_evaluation(request)

    async def _payload(self, request: Request) -> Response:
        """The payload of a flag that carries configuration to servers and nothing else; named by id or key."""
        named = request.path_params["id"]
        flag = self._flags.get(int(named)) if named.isdecimal() else self._flags.named(named)
        if flag is None or flag["deleted"] or not flag["is_remote_configuration"]:
            raise errors.not_found()
        return JSONResponse(payloads(flag["filters"]).get("true"))

    def _asked_for(self, request: Request) -> Doc:
        named = request.path_params["id"]
        flag = self._flags.get(int(named)) if named.isdecimal() else None
        if flag is None:
            raise errors.not_found()
        return flag

    def _demand_unused(self, flag: Doc) -> None:
        """Raises a 400 while another flag depends on this one."""
        users = [other for other in self._flags.all() if other["active"] and _depends(other, str(flag["id"]))]
        if users:
            names = ", ".join(f"{other['key']} (ID: {other['id']})" for other in users)
            raise errors.invalid(f"Cannot delete this feature flag because other active flags depend on it: {names}")


def _depends(flag: Doc, flag_id: str) -> bool:
    wanted = all_wanted(flag["filters"])
    return any(each.get("type") == "flag" and str(each.get("key")) == flag_id for each in wanted)
