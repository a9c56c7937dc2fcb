"""Templates and their builds as a person sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core.view import Facts, Link, Table, Text, View

if TYPE_CHECKING:
    from server.twins.e2b.builds import Builder
    from server.twins.e2b.templates import Catalog


def template(catalog: Catalog, template_id: str) -> View:
    found = catalog.find(template_id)
    pointed = {entry["build"]: tag for tag, entry in found.tags.items()}
    rows = [
        [Link(build.id, f"build/{build.id}"), build.status, pointed.get(build.id, ""), build.created]
        for build in catalog.builds(found.id)
    ]
    facts = [("Id", found.id), ("Names", ", ".join(found.names)), ("Tags", ", ".join(found.tags))]
    title = found.names[0] if found.names else found.id
    return View(title, [Facts("Template", facts), Table("Builds", ["Build", "Status", "Tag", "Made"], rows)])


def build(catalog: Catalog, builder: Builder, build_id: str) -> View:
    found = catalog.build(build_id)
    lines = "\n".join(f"{each['level']:5} {each['message']}" for each in builder.log(build_id))
    facts = [
        ("Status", found.status),
        ("Reason", str(found.reason.get("message", ""))),
        ("Start command", found.start or "the prepared image's own"),
        ("Ready when", found.ready),
    ]
    crumbs = [Link(found.template, f"template/{found.template}")]
    return View(build_id, [Facts("Build", facts), Text("Log", lines)], crumbs)
