"""People, organizations and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.neon.area import ORGANIZATION, Area
from server.twins.neon.bodies import MoveProjectsBody
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import not_for_organizations, not_found
from server.twins.neon.regions import DEFAULT_REGION, REGIONS
from server.twins.neon.requests import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.neon.accounts import Caller
    from server.twins.neon.plans import Plan
    from server.twins.neon.rows import Doc, OrganizationRow, UserRow
    from server.twins.neon.state import Rules


class AccountRoutes(Area):
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.accounts = rules.parts.accounts
        self.table = [
            ("GET", "/users/me", self.me),
            ("GET", "/users/me/organizations", self.my_organizations),
            ("GET", "/auth", self.auth),
            ("GET", "/regions", self.regions),
            ("GET", ORGANIZATION, self.organization),
            ("GET", ORGANIZATION + "/members", self.members),
            ("POST", ORGANIZATION + "/projects/transfer", self.move_projects),
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
