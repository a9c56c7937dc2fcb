"""The twin's own doors, beside the ones every twin has: the mailbox, mail from outside, fates, plan, origins, DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core import WireError
from server.twins.core.admin import admin_only
from server.twins.resend import lifecycle
from server.twins.resend.domains import STATUSES
from server.twins.resend.plan import FREE, Plan

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.core import Site
    from server.twins.resend.state import Team

_PLANS = {"free": FREE, "pro": Plan()}


class Operator:
    def __init__(self, site: Site, team: Team) -> None:
        self._site = site
        self._team = team

    def routes(self) -> list[BaseRoute]:
        doors = {
            "GET mailbox": self.mailbox,
            "POST inbound": self.inbound,
            "POST emails/{id}/events": self.happened,
            "PUT domains/{name}": self.dns,
            "PUT plan": self.plan,
            "GET origins": self.origins,
            "PUT origins": self.allow,
            "POST chores": self.chores,
        }
        return [
            Route(f"/_twin/{path}", admin_only(self._site, handler), methods=[method])
            for method, path, handler in ((*spec.split(), handler) for spec, handler in doors.items())
        ]

    async def mailbox(self, request: Request) -> Response:
        """Every mail asked for, oldest first, with its file once it has left.

        `?key=` names the API key whose mail to show, `?to=` a recipient.
        """
        key, to = request.query_params.get("key"), request.query_params.get("to")
        found = [
            mail
            for mail in self._team.records.all("email")
            if (key is None or mail["key"] == key) and (to is None or any(to in each for each in mail["to"]))
        ]
        return JSONResponse({"mails": [{**mail, "file": self._file(mail["id"])} for mail in found]})

    async def inbound(self, request: Request) -> Response:
        """A mail from outside, as `message/rfc822`, for the domain of `?to=`."""
        to = request.query_params.getlist("to")
        received = self._team.receiving.take_ours(to, await request.body())
        if received is None:
            raise WireError(422, {"error": "no recipient (?to=) is at a domain that receives"})
        return JSONResponse({"id": received}, 201)

    async def happened(self, request: Request) -> Response:
        """What a recipient or a mail server did: `{"type": "opened"}`, `{"type": "clicked", "link": "https://…"}`."""
        body = await request.json()
        kind, email = body.get("type"), self._team.records.get("email", request.path_params["id"])
        if kind not in lifecycle.TOLD or email is None:
            raise WireError(422, {"error": f"give the id of a mail, and a type of {', '.join(lifecycle.TOLD)}"})
        detail: dict[str, Any] = {}
        if kind == "clicked":
            detail = {
                "link": str(body.get("link", "")),
                "ipAddress": "127.0.0.1",
                "timestamp": self._site.timestamp(),
                "userAgent": request.headers.get("user-agent", ""),
            }
        self._team.lifecycle.add(email["id"], kind, body.get("to"), **detail)
        return Response(status_code=204)

    async def dns(self, request: Request) -> Response:
        """What a domain's check is to find: `{"status": "verified"}`."""
        status = (await request.json()).get("status")
        if status not in STATUSES:
            raise WireError(422, {"error": f"a status is one of {', '.join(STATUSES)}"})
        try:
            self._team.domains.tell(request.path_params["name"], status)
        except KeyError:
            raise WireError(404, {"error": "there is no such domain"}) from None
        return Response(status_code=204)

    async def plan(self, request: Request) -> Response:
        """`{"name": "free"}`, `{"name": "pro"}`, or either with other figures."""
        body = await request.json()
        try:
            given = {**vars(_PLANS.get(body.get("name"), Plan())), **body}
            plan = TypeAdapter(Plan).validate_python(given)
        except ValidationError as error:
            raise WireError(422, {"error": str(error)}) from None
        self._team.quota.choose(plan)
        return JSONResponse(vars(plan))

    async def origins(self, _request: Request) -> Response:
        return JSONResponse({"origins": self._team.origins.list()})

    async def allow(self, request: Request) -> Response:
        """Where attachments given by `path` may come from: `{"origins": ["https://files.example.org"]}`."""
        try:
            self._team.origins.allow((await request.json())["origins"])
        except (KeyError, TypeError, ValueError) as error:
            raise WireError(422, {"error": f"give a list of origins: {error}"}) from None
        return await self.origins(request)

    async def chores(self, _request: Request) -> Response:
        """Do now what is due by the site's clock, instead of within a second."""
        await self._team.chores.round(tidy=True)
        return Response(status_code=204)

    def _file(self, email_id: str) -> str | None:
        path = self._team.outbox.mailbox / f"{email_id}.eml"
        return str(path) if path.exists() else None
