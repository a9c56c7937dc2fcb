"""Resend's routes: who may call, what goes in, what comes out (Resend OpenAPI 1.5.0)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core.admin import admin_only
from server.twins.core.auth import bearer
from server.twins.core.paging import cursor_page
from server.twins.resend import errors
from server.twins.resend.keys import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.resend.keys import Key
    from server.twins.resend.state import Team

LARGEST_PAGE = 100
LARGEST_MAIL = 40 * 1024 * 1024
"""Attachments included, as they travel: in base64."""


@dataclass(frozen=True)
class Call:
    """One request, authenticated and read."""

    key: Key
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    payload: Any

    @property
    def body(self) -> dict[str, Any]:
        found = self.payload
        if not isinstance(found, dict):
            raise errors.invalid("The request body must be an `object`.")
        return cast("dict[str, Any]", found)

    def page(self, oldest_first: list[dict[str, Any]]) -> dict[str, Any]:
        """Newest first; everything at once unless `limit` is given."""
        docs = oldest_first[::-1]
        asked = self.query.get("limit")
        limit = int(asked) if asked and asked.isdecimal() else 0
        if asked is None:
            limit = max(len(docs), 1)
        elif limit not in range(1, LARGEST_PAGE + 1):
            raise errors.invalid("The pagination limit must be a number between 1 and 100.")
        after, before = self.query.get("after", ""), self.query.get("before", "")
        try:
            page = cursor_page(docs, limit=limit, after=after, before=before)
        except KeyError:
            raise errors.invalid("The pagination cursor does not exist.") from None
        return {"object": "list", "has_more": page.has_more, "data": page.items}


def routes(site: Site, team: Team) -> list[Route]:
    def on(spec: str, answer: Callable[[Call], Any], status: int = 200, *, sending: bool = False) -> Route:
        method, path = spec.split()

        async def handle(request: Request) -> Response:
            if not request.headers.get("user-agent"):
                raise errors.no_user_agent()
            key = team.keys.authenticate(bearer(request))
            if key.permission != FULL and not sending:
                raise errors.restricted_api_key()
            # A team's rate limit belongs here: it counts calls that carried a good key.
            call = Call(key, request.path_params, request.query_params, request.headers, await _json(request))
            return JSONResponse(answer(call), status)

        return Route(path, handle, methods=[method], max_body_size=LARGEST_MAIL)

    keys, domains, segments, contacts, mail = team.keys, team.domains, team.segments, team.contacts, team.mail

    def send(call: Call) -> Any:
        idempotency_key = call.headers.get("idempotency-key")
        return mail.once(idempotency_key, call.payload, lambda: mail.send(call.body, call.key))

    def send_batch(call: Call) -> Any:
        found = call.payload
        bodies = cast("list[Any]", found) if isinstance(found, list) else [call.body]
        permissive = call.headers.get("x-batch-validation", "strict") == "permissive"
        idempotency_key = call.headers.get("idempotency-key")
        return mail.once(idempotency_key, bodies, lambda: mail.send_batch(bodies, call.key, permissive=permissive))

    def group(path: str, word: str) -> list[Route]:
        """Segments, under their name of today and of yesterday."""
        return [
            on(f"POST /{path}", lambda c: segments.create(c.body, word), 201),
            on(f"GET /{path}", lambda c: c.page(segments.list())),
            on(f"GET /{path}/{{id}}", lambda c: segments.get(c.path["id"], word)),
            on(f"DELETE /{path}/{{id}}", lambda c: segments.delete(c.path["id"], word)),
            on(f"POST /{path}/{{id}}/contacts", lambda c: contacts.create(c.body, c.path["id"], word), 201),
            on(f"GET /{path}/{{id}}/contacts", lambda c: c.page(contacts.list(c.path["id"], word))),
            on(f"GET /{path}/{{id}}/contacts/{{who}}", lambda c: contacts.get(c.path["who"])),
            on(f"PATCH /{path}/{{id}}/contacts/{{who}}", lambda c: contacts.update(c.path["who"], c.body)),
            on(f"DELETE /{path}/{{id}}/contacts/{{who}}", lambda c: contacts.delete(c.path["who"])),
        ]

    return [
        on("POST /emails", send, sending=True),
        on("POST /emails/batch", send_batch, sending=True),
        on("GET /emails", lambda c: c.page(mail.list())),
        on("GET /emails/{id}", lambda c: mail.get(c.path["id"])),
        on("POST /api-keys", lambda c: keys.create(c.body), 201),
        on("GET /api-keys", lambda c: c.page(keys.list())),
        on("PATCH /api-keys/{id}", lambda c: keys.rename(c.path["id"], c.body)),
        on("DELETE /api-keys/{id}", lambda c: keys.delete(c.path["id"])),
        *group("segments", "segment"),
        *group("audiences", "audience"),
        on("POST /contacts", lambda c: contacts.create(c.body), 201),
        on("GET /contacts", lambda c: c.page(contacts.list(c.query.get("segment_id", "")))),
        on("GET /contacts/{who}", lambda c: contacts.get(c.path["who"])),
        on("PATCH /contacts/{who}", lambda c: contacts.update(c.path["who"], c.body)),
        on("DELETE /contacts/{who}", lambda c: contacts.delete(c.path["who"])),
        on("GET /contacts/{who}/segments", lambda c: c.page(contacts.segments_of(c.path["who"]))),
        on("POST /contacts/{who}/segments/{id}", lambda c: contacts.join(c.path["who"], c.path["id"])),
        on("DELETE /contacts/{who}/segments/{id}", lambda c: contacts.leave(c.path["who"], c.path["id"])),
        on("POST /domains", lambda c: domains.create(c.body), 201),
        on("GET /domains", lambda c: c.page(domains.list())),
        on("GET /domains/{id}", lambda c: domains.get(c.path["id"])),
        on("POST /domains/{id}/verify", lambda c: domains.verify(c.path["id"])),
        on("DELETE /domains/{id}", lambda c: domains.delete(c.path["id"])),
        Route("/_twin/mailbox", admin_only(site, _mailbox(team)), methods=["GET"]),
    ]


def _mailbox(team: Team) -> Callable[[Request], Any]:
    async def mailbox(request: Request) -> Response:
        """Every mail; `?key=` names the API key whose mail to show, `?to=` a recipient."""
        key, to = request.query_params.get("key"), request.query_params.get("to")
        found = [
            mail
            for mail in team.mail.mailbox()
            if (key is None or mail["key"] == key) and (to is None or any(to in each for each in mail["to"]))
        ]
        return JSONResponse({"mails": found})

    return mailbox


async def _json(request: Request) -> Any:
    raw = await request.body()
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        raise errors.bad_json() from None
