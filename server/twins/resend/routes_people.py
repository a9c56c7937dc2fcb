"""The routes of people: contacts, segments (once audiences), topics, properties, suppressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.resend import errors

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.resend.door import Call, Door
    from server.twins.resend.state import Team


def people_routes(door: Door, team: Team) -> list[BaseRoute]:
    # The more particular path first: `/contacts/imports` is no contact's id.
    return [
        *_imports(door, team),
        *_contacts(door, team),
        *_groups(door, team, "segments", "segment"),
        *_groups(door, team, "audiences", "audience"),
        *_subscriptions(door, team),
        *_suppressions(door, team),
    ]


def _imports(door: Door, team: Team) -> list[BaseRoute]:
    def create(call: Call) -> Any:
        octets = call.body.get("file")
        if not isinstance(octets, bytes):
            raise errors.missing_field("file")
        created = team.imports.create(call.body, octets)
        team.chores.wake()
        return created

    return [
        door.on("POST /contacts/imports", create, 201),
        door.on("GET /contacts/imports", lambda c: c.page(team.imports.list(c.query.get("status")))),
        door.on("GET /contacts/imports/{id}", lambda c: team.imports.get(c.path["id"])),
    ]


def _contacts(door: Door, team: Team) -> list[BaseRoute]:
    on, contacts = door.on, team.contacts
    return [
        on("POST /contacts", lambda c: contacts.create(c.body), 201),
        on("GET /contacts", lambda c: c.page(contacts.list(c.query.get("segment_id", "")), whole=True)),
        on("GET /contacts/{who}", lambda c: contacts.get(c.path["who"])),
        on("PATCH /contacts/{who}", lambda c: contacts.update(c.path["who"], c.body)),
        on("DELETE /contacts/{who}", lambda c: contacts.delete(c.path["who"])),
        on("GET /contacts/{who}/segments", lambda c: c.page(contacts.segments_of(c.path["who"]), whole=True)),
        on("POST /contacts/{who}/segments/{id}", lambda c: contacts.join(c.path["who"], c.path["id"])),
        on("DELETE /contacts/{who}/segments/{id}", lambda c: contacts.leave(c.path["who"], c.path["id"])),
        on("GET /contacts/{who}/topics", lambda c: c.page(contacts.topics_of(c.path["who"]), whole=True)),
        on("PATCH /contacts/{who}/topics", lambda c: contacts.subscribe(c.path["who"], c.payload)),
    ]


def _groups(door: Door, team: Team, path: str, word: str) -> list[BaseRoute]:
    """Segments, under their name of today and of yesterday."""
    on, segments, contacts = door.on, team.segments, team.contacts
    return [
        on(f"POST /{path}", lambda c: segments.create(c.body, word), 201),
        on(f"GET /{path}", lambda c: c.page(segments.list(), whole=True)),
        on(f"GET /{path}/{{id}}", lambda c: segments.get(c.path["id"], word)),
        on(f"PATCH /{path}/{{id}}", lambda c: segments.update(c.path["id"], c.body)),
        on(f"DELETE /{path}/{{id}}", lambda c: segments.delete(c.path["id"], word)),
        on(f"POST /{path}/{{id}}/contacts", lambda c: contacts.create(c.body, c.path["id"], word), 201),
        on(f"GET /{path}/{{id}}/contacts", lambda c: c.page(contacts.list(c.path["id"], word), whole=True)),
        on(f"GET /{path}/{{id}}/contacts/{{who}}", lambda c: contacts.get(c.path["who"])),
        on(f"PATCH /{path}/{{id}}/contacts/{{who}}", lambda c: contacts.update(c.path["who"], c.body)),
        on(f"DELETE /{path}/{{id}}/contacts/{{who}}", lambda c: contacts.delete(c.path["who"])),
    ]


def _subscriptions(door: Door, team: Team) -> list[BaseRoute]:
    on, topics, properties = door.on, team.topics, team.properties
    return [
        on("POST /topics", lambda c: topics.create(c.body), 201),
        on("GET /topics", lambda c: c.page(topics.list())),
        on("GET /topics/{id}", lambda c: topics.get(c.path["id"])),
        on("PATCH /topics/{id}", lambda c: topics.update(c.path["id"], c.body)),
        on("DELETE /topics/{id}", lambda c: topics.delete(c.path["id"])),
        on("POST /contact-properties", lambda c: properties.create(c.body), 201),
        on("GET /contact-properties", lambda c: c.page(properties.list())),
        on("GET /contact-properties/{id}", lambda c: properties.get(c.path["id"])),
        on("PATCH /contact-properties/{id}", lambda c: properties.update(c.path["id"], c.body)),
        on("DELETE /contact-properties/{id}", lambda c: properties.delete(c.path["id"])),
    ]


def _suppressions(door: Door, team: Team) -> list[BaseRoute]:
    on, suppressions = door.on, team.suppressions
    return [
        on("POST /suppressions", lambda c: suppressions.create(c.body), 201),
        on("GET /suppressions", lambda c: c.page(suppressions.list(c.query.get("origin")))),
        on("POST /suppressions/batch/add", lambda c: suppressions.add_batch(c.body), 201),
        on("POST /suppressions/batch/remove", lambda c: suppressions.remove_batch(c.body)),
        on("GET /suppressions/{which}", lambda c: suppressions.get(c.path["which"])),
        on("DELETE /suppressions/{which}", lambda c: suppressions.remove(c.path["which"])),
    ]
