"""Who calls: people, their organizations, and the keys that open one or the other, or one project only.

The operator's credential is an organization's key. As on Neon, an account and its first personal key do not
come from the API: there, from the console; here, from the twin's own `/_twin/accounts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from server.secrets import Secret
from server.twins.core import ids
from server.twins.core.auth import bearer, digest, same
from server.twins.neon import names
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import (
    not_for_organizations,
    not_found,
    organization_required,
    outside_project,
    unauthorized,
)
from server.twins.neon.plans import PLANS, Plan
from server.twins.neon.rows import KeyRow, OrganizationRow, UserRow

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.neon.rows import Doc
    from server.twins.neon.tables import Tables

OPERATOR = "11111111-1111-4111-8111-111111111111"
ORGANIZATION = "org-local-twin-10000001"


@dataclass(frozen=True)
class Caller:
    kind: Literal["personal", "organization", "project"]
    user: str
    org: str
    project: str

    @property
    def account(self) -> str:
        """Whose rate limit this call counts on."""
        return self.org or self.user


class Accounts:
    def __init__(self, site: Site, tables: Tables) -> None:
        self._site = site
        self._tables = tables

    def found(self) -> None:
        """Have the operator and their organization; they are there from the first day on."""
        if self._tables.users.get(OPERATOR) is None:
            self._tables.users.put(UserRow(id=OPERATOR, email="owner@mk0r.localhost", name="local"))
        if self._tables.organizations.get(ORGANIZATION) is None:
            self._found_organization(ORGANIZATION, "local", OPERATOR, PLANS["scale"], None)

    def open(self, email: str, plan: Plan, projects_limit: int | None) -> tuple[UserRow, OrganizationRow, Secret]:
        """A new account: a person, an organization of theirs, and a personal key."""
        user = UserRow(id=ids.uuid(), email=email, name=email.partition("@")[0])
        self._tables.users.put(user)
        org = self._found_organization(names.organization_id(), user["name"], user["id"], plan, projects_limit)
        _, key = self.create_key("console", user["id"])
        return user, org, key

    def caller(self, request: Request) -> Caller:
        token = bearer(request)
        if same(token, self._site.credential):
            return Caller("organization", OPERATOR, ORGANIZATION, "")
        found = self._tables.keys.by("digest", digest(token)) if token else []
        if not found:
            raise unauthorized()
        [key] = found
        key["last_used_at"] = timestamp(self._site.clock())
        key["last_used_from"] = request.client.host if request.client else ""
        self._tables.keys.put(key)
        if key["project"]:
            project = self._tables.projects.get(key["project"])
            if project is None or project["org"] != key["org"]:  # it left the organization, and the key with it
                raise unauthorized()
            return Caller("project", key["user"], key["org"], key["project"])
        return Caller("organization" if key["org"] else "personal", key["user"], key["org"], "")

    def organizations(self, caller: Caller) -> list[OrganizationRow]:
        """Those the caller may act for."""
        if caller.org:
            row = self._tables.organizations.get(caller.org)
            return [row] if row else []
        return [row for row in self._tables.organizations.all() if caller.user in row["members"]]

    def organization(self, caller: Caller, org: str) -> OrganizationRow:
        """Raises 404 for one the caller does not belong to."""
        if caller.project:
            raise outside_project(caller.project)
        for row in self.organizations(caller):
            if row["id"] == org:
                return row
        raise not_found("organization")

    def chosen(self, caller: Caller, org: str | None) -> OrganizationRow:
        """The organization a call is about: the key's own, or for a personal key the one it names."""
        if org is None and not caller.org:
            raise organization_required()
        return self.organization(caller, org or caller.org)

    def person(self, caller: Caller) -> UserRow:
        """Raises Neon's refusal of an organization's key on a route about a person."""
        user = self._tables.users.get(caller.user)
        if caller.kind != "personal" or user is None:
            raise not_for_organizations()
        return user

    def user(self, user: str) -> UserRow:
        return self._tables.users.get(user) or UserRow(id=user, email="unknown@mk0r.localhost", name="unknown")

    def plan(self, org: str) -> Plan:
        row = self._tables.organizations.get(org)
        return PLANS[row["doc"]["plan"]] if row else PLANS["free"]

    def create_key(self, name: str, user: str, org: str = "", project: str = "") -> tuple[KeyRow, Secret]:
        token = ids.token("napi_", 64).lower()
        key = KeyRow(
            id=str(ids.number()),
            digest=digest(token),
            name=name,
            user=user,
            org=org,
            project=project,
            created_at=timestamp(self._site.clock()),
            last_used_at="",
            last_used_from="",
        )
        self._tables.keys.put(key)
        return key, Secret(token)

    def keys(self, *, user: str = "", org: str = "") -> list[KeyRow]:
        """A person's own, or an organization's."""
        if org:
            return self._tables.keys.by("org", org)
        return [key for key in self._tables.keys.by("user", user) if not key["org"]]

    def revoke(self, key: KeyRow) -> None:
        self._tables.keys.delete(key["id"])

    def _found_organization(
        self, org: str, name: str, owner: str, plan: Plan, projects_limit: int | None
    ) -> OrganizationRow:
        at = timestamp(self._site.clock())
        doc: Doc = {
            "id": org,
            "name": name,
            "handle": f"{name}-{org}",
            "plan": plan.name,
            "created_at": at,
            "updated_at": at,
            "managed_by": "console",
        }
        limit = plan.projects if projects_limit is None else projects_limit
        row = OrganizationRow(id=org, doc=doc, members=[owner], projects_limit=limit)
        self._tables.organizations.put(row)
        return row
