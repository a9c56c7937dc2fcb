"""Templates as E2B keeps them: names, builds and the tags that point at builds. Snapshots are templates, too."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from server.twins.core import ids
from server.twins.e2b.errors import wire
from server.twins.e2b.record import CPUS, MEMORY_MB
from server.vm import image

if TYPE_CHECKING:
    from server.twins.core import Records, Site

TEAM = "local"
"""The team's slug: the namespace of every name here."""

DEFAULT = "default"
NAME = re.compile(r"[a-z0-9_-]{1,128}")
TAG = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass
class Build:
    """One build of a template, and what a sandbox begins as when it is ready."""

    id: str
    template: str
    created: str
    updated: str
    status: str = "waiting"
    finished: str = ""
    tags: list[str] = field(default_factory=list[str])
    cpus: int = CPUS
    memory_mb: int = MEMORY_MB
    workdir: str = image.WORKDIR
    start: str | None = None
    """The start command; `None` for the prepared image's own, empty for none."""
    start_envs: dict[str, str] = field(default_factory=dict[str, str])
    ready: str = ""
    reason: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of a failed build: what went wrong, and in which step."""


@dataclass
class Template:
    id: str
    names: list[str]
    created: str
    updated: str
    public: bool = False
    spawned: int = 0
    last_spawned: str = ""
    tags: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """Tag to `{"build", "at"}`."""
    sandbox: str = ""
    """The sandbox it is a snapshot of."""


PREPARED_BUILD = str(uuid5(NAMESPACE_URL, "mk0r:prepared"))


def parsed(reference: str) -> tuple[str, str]:
    """A template's id or name, and the tag, of `[team/]name[:tag]`."""
    name, _, tag = reference.partition(":")
    return name.removeprefix(f"{TEAM}/"), tag or DEFAULT


class Catalog:
    """All templates of the team, the prepared image among them: as `mk0r`, and as the SDK's default, `base`."""

    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def prepared(self) -> Template:
        doc = self._records.get("template", image.TEMPLATE) or {}
        first = "2026-01-01T00:00:00+00:00"
        tags = {DEFAULT: {"build": PREPARED_BUILD, "at": first}}
        kept = {name: doc[name] for name in ("spawned", "last_spawned") if name in doc}
        return Template(image.TEMPLATE, [image.TEMPLATE, "base"], first, first, public=True, tags=tags, **kept)

    def all(self) -> list[Template]:
        found = [Template(**doc) for doc in self._records.all("template") if doc["id"] != image.TEMPLATE]
        return [*found, self.prepared()]

    def find(self, reference: str) -> Template:
        """Raises 404."""
        name, _ = parsed(reference)
        for template in self.all():
            if name == template.id or name in template.names:
                return template
        raise wire(404, f"template '{reference}' not found")

    def build(self, build_id: str) -> Build:
        """Raises 404."""
        doc = self._records.get("build", build_id)
        if doc is None:
            raise wire(404, f"build '{build_id}' not found")
        return Build(**doc)

    def builds(self, template_id: str) -> list[Build]:
        """Newest first."""
        return [Build(**doc) for doc in reversed(self._records.all("build")) if doc["template"] == template_id]

    def origin(self, reference: str) -> tuple[Template, Build | None]:
        """What a sandbox of this reference begins as; no build: the prepared image. Raises 404."""
        template, (_, tag) = self.find(reference), parsed(reference)
        pointed = template.tags.get(tag)
        if pointed is None:
            raise wire(404, f"tag '{tag}' does not exist for template '{parsed(reference)[0]}'")
        return template, None if pointed["build"] == PREPARED_BUILD else self.build(pointed["build"])

    def spawned(self, template: Template) -> None:
        template.spawned += 1
        template.last_spawned = self._site.timestamp()
        self._records.put("template", template.id, asdict(template))

    def begin(self, name: str, tags: list[str], cpus: int, memory_mb: int, *, sandbox: str = "") -> Build:
        """A build to come, of the template of this name, which is made if there is none. Raises 400."""
        alias, tag = parsed(name)
        if alias and not NAME.fullmatch(alias):
            raise wire(400, f"Invalid name: '{alias}' may hold lower-case letters, digits, dashes and underscores")
        named = [tag] if ":" in name or not tags else []
        wanted = [*named, *(each for each in tags if each not in named)]
        for each in wanted:
            if not TAG.fullmatch(each):
                raise wire(400, f"Invalid tag: '{each}'")
        now = self._site.timestamp()
        template = next((each for each in self.all() if alias and alias in each.names), None)
        if template is None or template.id == image.TEMPLATE:
            template = Template(ids.lower(20), [alias] if alias else [], now, now, sandbox=sandbox)
            self._records.put("template", template.id, asdict(template))
        build = Build(ids.uuid(), template.id, now, now, tags=wanted, cpus=cpus, memory_mb=memory_mb)
        self.save(build)
        return build

    def save(self, build: Build) -> None:
        build.updated = self._site.timestamp()
        self._records.put("build", build.id, asdict(build))

    def finish(self, build: Build) -> None:
        """It is ready: its tags point at it from now on."""
        build.status, build.finished = "ready", self._site.timestamp()
        self.save(build)
        self.tag(self.find(build.template), build.id, build.tags)

    def abandon(self, build: Build) -> None:
        """Forget a build that came to nothing, and its template if it has no other."""
        self._records.delete("build", build.id)
        if not self.builds(build.template):
            self._records.delete("template", build.template)

    def tag(self, template: Template, build_id: str, tags: list[str]) -> None:
        template.updated = self._site.timestamp()
        template.tags.update({tag: {"build": build_id, "at": template.updated} for tag in tags})
        self._records.put("template", template.id, asdict(template))

    def untag(self, template: Template, tags: list[str]) -> None:
        """Raises 404 for a tag that is not there."""
        for tag in tags:
            if template.tags.pop(tag, None) is None:
                raise wire(404, f"tag '{tag}' does not exist for template '{template.id}'")
        self._records.put("template", template.id, asdict(template))

    def publish(self, template: Template, *, public: bool) -> None:
        template.public = public
        self._records.put("template", template.id, asdict(template))

    def remove(self, template: Template) -> list[Build]:
        """Forget it; its builds, whose images nobody needs now."""
        if template.id == image.TEMPLATE:
            raise wire(400, "the prepared template cannot be deleted")
        builds = self.builds(template.id)
        for build in builds:
            self._records.delete("build", build.id)
        self._records.delete("template", template.id)
        return builds

    def full(self, template: Template, tag: str = "") -> list[str]:
        return [f"{TEAM}/{name}{':' + tag if tag else ''}" for name in template.names]
