"""The routes of mail: emails, received ones, templates, broadcasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from server.twins.resend.files import RECEIVED, SENT

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.resend.door import Call, Door
    from server.twins.resend.state import Team


def mail_routes(door: Door, team: Team) -> list[BaseRoute]:
    # The more particular path first: `/emails/receiving` is no email's id.
    return [*_received(door, team), *_emails(door, team), *_templates(door, team), *_broadcasts(door, team)]


def _emails(door: Door, team: Team) -> list[BaseRoute]:
    on, emails, files, once = door.on, team.emails, team.files, team.idempotency.once

    async def send(call: Call) -> Any:
        return await once(call.headers.get("idempotency-key"), call.payload, lambda: emails.send(call.body, call.key))

    async def send_batch(call: Call) -> Any:
        found = call.payload
        bodies = cast("list[Any]", found) if isinstance(found, list) else [call.body]
        permissive = call.headers.get("x-batch-validation", "strict") == "permissive"
        return await once(
            call.headers.get("idempotency-key"),
            bodies,
            lambda: emails.send_batch(bodies, call.key, permissive=permissive),
        )

    return [
        on("POST /emails", send, access="sending"),
        on("POST /emails/batch", send_batch, access="sending"),
        on("GET /emails", lambda c: c.page(emails.list())),
        on("GET /emails/metrics", lambda c: team.metrics.get(c.query)),
        on("GET /emails/{id}", lambda c: emails.get(c.path["id"])),
        on("PATCH /emails/{id}", lambda c: emails.reschedule(c.path["id"], c.body)),
        on("POST /emails/{id}/cancel", lambda c: emails.cancel(c.path["id"])),
        on("POST /emails/{id}/share", lambda c: files.share(c.path["id"], c.body)),
        on("GET /emails/{id}/attachments", lambda c: c.page(files.list(SENT, c.path["id"])[::-1])),
        on("GET /emails/{id}/attachments/{file}", lambda c: files.get(SENT, c.path["id"], c.path["file"])),
    ]


def _received(door: Door, team: Team) -> list[BaseRoute]:
    on, received, files = door.on, team.receiving, team.files
    return [
        on("GET /emails/receiving", lambda c: c.page(received.list())),
        on("GET /emails/receiving/{id}", lambda c: received.get(c.path["id"], c.query.get("html_format", "data_uri"))),
        on("GET /emails/receiving/{id}/attachments", lambda c: c.page(files.list(RECEIVED, c.path["id"])[::-1])),
        on(
            "GET /emails/receiving/{id}/attachments/{file}",
            lambda c: files.get(RECEIVED, c.path["id"], c.path["file"]),
        ),
    ]


def _templates(door: Door, team: Team) -> list[BaseRoute]:
    on, templates = door.on, team.templates
    return [
        on("POST /templates", lambda c: templates.create(c.body), 201),
        on("GET /templates", lambda c: c.page(templates.list())),
        on("GET /templates/{id}", lambda c: templates.get(c.path["id"])),
        on("PATCH /templates/{id}", lambda c: templates.update(c.path["id"], c.body)),
        on("DELETE /templates/{id}", lambda c: templates.delete(c.path["id"])),
        on("POST /templates/{id}/publish", lambda c: templates.publish(c.path["id"])),
        on("POST /templates/{id}/duplicate", lambda c: templates.duplicate(c.path["id"])),
    ]


def _broadcasts(door: Door, team: Team) -> list[BaseRoute]:
    on, broadcasts, mailing = door.on, team.broadcasts, team.mailing

    def recipients(call: Call) -> Any:
        kind, email, bounce = (call.query.get(name, "") for name in ("type", "email", "bounce_type"))
        return call.page(mailing.recipients(call.path["id"], kind, email, bounce))

    return [
        on("POST /broadcasts", lambda c: broadcasts.create(c.body, c.key), 201),
        on("GET /broadcasts", lambda c: c.page(broadcasts.list(), whole=True)),
        on("GET /broadcasts/{id}", lambda c: broadcasts.get(c.path["id"])),
        on("PATCH /broadcasts/{id}", lambda c: broadcasts.update(c.path["id"], c.body)),
        on("DELETE /broadcasts/{id}", lambda c: broadcasts.delete(c.path["id"])),
        on("POST /broadcasts/{id}/send", lambda c: broadcasts.send(c.path["id"], c.body, c.key)),
        on("POST /broadcasts/{id}/cancel", lambda c: broadcasts.cancel(c.path["id"])),
        on("POST /broadcasts/{id}/duplicate", lambda c: broadcasts.duplicate(c.path["id"])),
        on("GET /broadcasts/{id}/recipients", recipients),
        on("GET /broadcasts/{id}/clicked-links", lambda c: c.page(mailing.clicked_links(c.path["id"]))),
    ]
