"""Resend's routes (Resend OpenAPI 1.5.0, and what its SDKs call beside it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.resend.routes_mail import mail_routes
from server.twins.resend.routes_people import people_routes
from server.twins.resend.usage import usage

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.resend.door import Door
    from server.twins.resend.state import Team


def routes(door: Door, team: Team) -> list[BaseRoute]:
    return [
        *mail_routes(door, team),
        *people_routes(door, team),
        *_account(door, team),
        *_webhooks(door, team),
        *team.files.routes(),
        *team.unsubscribe.routes(),
    ]


def _account(door: Door, team: Team) -> list[BaseRoute]:
    on, keys, domains, logs = door.on, team.keys, team.domains, team.logs
    return [
        on("POST /api-keys", lambda c: keys.create(c.body), 201),
        on("GET /api-keys", lambda c: c.page(keys.list(), whole=True)),
        on("PATCH /api-keys/{id}", lambda c: keys.rename(c.path["id"], c.body)),
        on("DELETE /api-keys/{id}", lambda c: keys.delete(c.path["id"])),
        on("POST /domains", lambda c: domains.create(c.body), 201),
        on("GET /domains", lambda c: c.page(domains.list(), whole=True)),
        on("GET /domains/{id}", lambda c: domains.get(c.path["id"])),
        on("PATCH /domains/{id}", lambda c: domains.update(c.path["id"], c.body)),
        on("POST /domains/{id}/verify", lambda c: domains.verify(c.path["id"])),
        on("DELETE /domains/{id}", lambda c: domains.delete(c.path["id"])),
        on("GET /usage", lambda _: usage(team.records, team.quota, team.meter), access="sending"),
        on("GET /logs", lambda c: c.page(logs.list())),
        on("GET /logs/{id}", lambda c: logs.get(c.path["id"])),
    ]


def _webhooks(door: Door, team: Team) -> list[BaseRoute]:
    on, webhooks = door.on, team.webhooks
    event = "/webhooks/{id}/events/{event}"
    return [
        on("POST /webhooks", lambda c: webhooks.create(c.body), 201),
        on("GET /webhooks", lambda c: c.page(webhooks.list())),
        on("GET /webhooks/{id}", lambda c: webhooks.get(c.path["id"])),
        on("PATCH /webhooks/{id}", lambda c: webhooks.update(c.path["id"], c.body)),
        on("DELETE /webhooks/{id}", lambda c: webhooks.delete(c.path["id"])),
        on("POST /webhooks/{id}/signing-secret/rotate", lambda c: webhooks.rotate(c.path["id"])),
        on("GET /webhooks/{id}/events", lambda c: c.page(webhooks.events(c.path["id"]))),
        on(f"GET {event}", lambda c: webhooks.event(c.path["id"], c.path["event"])),
        on(f"GET {event}/attempts", lambda c: c.page(webhooks.attempts(c.path["id"], c.path["event"]))),
        on(f"POST {event}/replay", lambda c: webhooks.replay(c.path["id"], c.path["event"])),
    ]
