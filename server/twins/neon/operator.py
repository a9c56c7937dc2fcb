"""What is done on Neon in its console and not over its API: opening an account, with a person's first key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.twins.core import WireError
from server.twins.core.admin import admin_only
from server.twins.neon.plans import PLANS

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.neon.parts import Parts


class Account(BaseModel, extra="forbid"):
    email: Annotated[str, Field(min_length=3, pattern=r"^[^@\s]+@[^@\s]+$")]
    plan: str = "free"
    projects_limit: Annotated[int, Field(ge=0)] | None = None


def operator_routes(site: Site, parts: Parts) -> list[BaseRoute]:
    async def open_account(request: Request) -> Response:
        """Answers with the person's id, their organization's id, and a personal key, shown this once."""
        try:
            wanted = Account.model_validate_json(await request.body())
        except ValidationError as error:
            raise WireError(422, {"error": str(error)}) from None
        if wanted.plan not in PLANS:
            raise WireError(422, {"error": f"plan: one of {', '.join(PLANS)}"})
        user, org, key = parts.accounts.open(wanted.email, PLANS[wanted.plan], wanted.projects_limit)
        return JSONResponse({"user_id": user["id"], "org_id": org["id"], "key": key.reveal()}, 201)

    return [Route("/_twin/accounts", admin_only(site, open_account), methods=["POST"])]
