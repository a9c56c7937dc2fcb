"""People, organizations, keys, regions, and what an organization used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.neon import consumption
from server.twins.neon.area import Area
from server.twins.neon.bodies import CreateKeyBody, MoveProjectsBody
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import api_error, not_for_organizations, not_found, outside_project
from server.twins.neon.regions import DEFAULT_REGION, REGIONS
from server.twins.neon.requests import read_body, read_choice, read_list, read_moment, read_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.plans import Plan
    from server.twins.neon.rows import Doc, KeyRow, OrganizationRow, UserRow
    from server.twins.neon.rules import Rules

ORGANIZATION = "/organizations/{org}"


class AccountRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.accounts = rules.parts.accounts
        self.table = [
            ("GET", "/users/me", self.me),
            ("GET", "/users/me/organizations", self.my_organizations),
            ("GET", "/auth", self.auth),
            ("GET", "/regions", self.regions),
            ("GET", "/api_keys", self.list_keys),
            ("POST", "/api_keys", self.create_key),
            ("DELETE", "/api_keys/{key:int}", self.revoke_key),
            ("GET", ORGANIZATION, self.organization),
            ("GET", ORGANIZATION + "/members", self.members),
            ("GET", ORGANIZATION + "/api_keys", self.list_organization_keys),
            ("POST", ORGANIZATION + "/api_keys", self.create_organization_key),
            ("DELETE", ORGANIZATION + "/api_keys/{key:int}", self.revoke_organization_key),
            ("POST", ORGANIZATION + "/projects/transfer", self.move_projects),
            ("GET", "/consumption_history/v2/projects", self.consumption),
        ]

    async def me(self, _request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        orgs = self.accounts.organizations(caller)
        plan = self.accounts.plan(orgs[0]["id"] if orgs else "")
        account = {"email": user["email"], "image": "", "login": user["email"], "name": user["name"]}
        return JSONResponse(
            {
                "active_seconds_limit": 0,
                "auth_accounts": [{**account, "provider": "github"}],
                "billing_account": self._billing(user, plan, orgs),
                "branches_limit": plan.branches,
                "compute_seconds_limit": 0,
                "email": user["email"],
                "id": user["id"],
                "image": "",
                "last_name": "",
                "login": user["email"],
                "max_autoscaling_limit": 0,
                "name": user["name"],
                "plan": plan.subscription_type,
                "projects_limit": orgs[0]["projects_limit"] if orgs else 0,
            }
        )

    def _billing(self, user: UserRow, plan: Plan, orgs: list[OrganizationRow]) -> Doc:
        """Nobody pays here."""
        nowhere = ("city", "country", "line1", "line2", "postal_code", "state")
        return {
            "state": "active",
            "payment_source": {"type": ""},
            "subscription_type": plan.subscription_type,
            "payment_method": "none",
            "quota_reset_at_last": orgs[0]["doc"]["created_at"] if orgs else timestamp(self.parts.site.clock()),
            "name": user["name"],
            "email": user["email"],
            **{f"address_{part}": "" for part in nowhere},
        }

    async def my_organizations(self, _request: Request, caller: Caller) -> Response:
        return JSONResponse({"organizations": [row["doc"] for row in self.accounts.organizations(caller)]})

    async def auth(self, _request: Request, caller: Caller) -> Response:
        method = "api_key_org" if caller.org else "api_key_user"
        return JSONResponse({"account_id": caller.account, "auth_method": method, "auth_data": ""})

    async def regions(self, _request: Request, caller: Caller) -> Response:
        if caller.kind != "personal":
            raise not_for_organizations()
        keys = ("region_id", "name", "geo_lat", "geo_long")
        regions: list[dict[str, Any]] = [dict(zip(keys, region, strict=True)) for region in REGIONS]
        return JSONResponse({"regions": [{**each, "default": each["region_id"] == DEFAULT_REGION} for each in regions]})

    async def list_keys(self, _request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        return JSONResponse([self._listed(key) for key in self.accounts.keys(user=user["id"])])

    async def create_key(self, request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        body = await read_body(request, CreateKeyBody)
        key, token = self.accounts.create_key(body.key_name, user["id"])
        return JSONResponse({**_key(key), "key": token.reveal(), "created_by": user["id"]})

    async def revoke_key(self, request: Request, caller: Caller) -> Response:
        user = self.accounts.person(caller)
        return self._revoke(self.accounts.keys(user=user["id"]), request)

    async def organization(self, request: Request, caller: Caller) -> Response:
        return JSONResponse(self.accounts.organization(caller, request.path_params["org"])["doc"])

    async def members(self, request: Request, caller: Caller) -> Response:
        org = self.accounts.organization(caller, request.path_params["org"])
        members = [
            {
                "member": {"id": user, "user_id": user, "org_id": org["id"], "role": "admin"},
                "user": {"email": self.accounts.user(user)["email"]},
            }
            for user in org["members"]
        ]
        return JSONResponse({"members": members, "pagination": {"sort_by": "joined_at", "sort_order": "DESC"}})

    async def list_organization_keys(self, request: Request, caller: Caller) -> Response:
        org = self.accounts.organization(caller, request.path_params["org"])
        return JSONResponse([self._listed(key) for key in self.accounts.keys(org=org["id"])])

    async def create_organization_key(self, request: Request, caller: Caller) -> Response:
        """As on Neon an organization's key makes no other: it takes a person's."""
        user = self.accounts.person(caller)
        org = self.accounts.organization(caller, request.path_params["org"])
        body = await read_body(request, CreateKeyBody)
        if body.project_id and self.rules.projects.get(caller, body.project_id)["org"] != org["id"]:
            raise not_found("project")
        key, token = self.accounts.create_key(body.key_name, user["id"], org["id"], body.project_id or "")
        return JSONResponse({**_key(key), "key": token.reveal(), "created_by": user["id"]})

    async def revoke_organization_key(self, request: Request, caller: Caller) -> Response:
        self.accounts.person(caller)
        org = self.accounts.organization(caller, request.path_params["org"])
        return self._revoke(self.accounts.keys(org=org["id"]), request)

    async def move_projects(self, request: Request, caller: Caller) -> Response:
        self.accounts.person(caller)
        source = self.accounts.organization(caller, request.path_params["org"])
        body = await read_body(request, MoveProjectsBody)
        target = self.accounts.organization(caller, body.destination_org_id)
        rows = [self.rules.projects.get(caller, project) for project in body.project_ids]
        if any(row["org"] != source["id"] for row in rows):
            raise not_found("project")
        if limits := self.rules.transfers.unsatisfied(target, rows):
            return JSONResponse({"limits": limits}, 406)
        for row in rows:
            self.rules.projects.move(row, target["id"])
        return JSONResponse({})

    async def consumption(self, request: Request, caller: Caller) -> Response:
        """Newest project first."""
        if caller.project:
            raise outside_project(caller.project)
        org = self.accounts.chosen(caller, request.query_params.get("org_id"))
        plan = self.accounts.plan(org["id"])
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

    def _revoke(self, keys: list[KeyRow], request: Request) -> Response:
        for key in keys:
            if key["id"] == str(request.path_params["key"]):
                self.accounts.revoke(key)
                return JSONResponse({**_key(key), **_last_used(key), "created_by": key["user"], "revoked": True})
        raise not_found("API key")

    def _listed(self, key: KeyRow) -> Doc:
        user = self.accounts.user(key["user"])
        creator = {"id": user["id"], "name": user["name"], "image": ""}
        return {**_key(key), **_last_used(key), "created_by": creator}


def _key(key: KeyRow) -> Doc:
    scope = {"project_id": key["project"]} if key["project"] else {}
    return {"id": int(key["id"]), "name": key["name"], "created_at": key["created_at"], **scope}


def _last_used(key: KeyRow) -> Doc:
    return {"last_used_at": key["last_used_at"] or None, "last_used_from_addr": key["last_used_from"]}
