"""Templates: drafted, published, sent with variables (Resend docs, "Templates").

What is edited is the draft; what is sent is what was last published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, personal, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

TYPES = ("string", "number", "boolean", "object", "list")
LARGEST = 50
"""Variables of one template."""
_LISTED = ("id", "name", "status", "published_at", "created_at", "updated_at", "alias")


class Templates:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def create(self, body: Body) -> Body:
        now = times.stamp(self._site.clock())
        empty: dict[str, Any] = {"alias": None, "from": None, "subject": None, "reply_to": None, "text": None}
        given = {"name": fields.required(body, "name"), "html": fields.required(body, "html")}
        draft: Body = {**empty, "variables": [], **given, **self._content(body)}
        doc: Body = {
            "id": ids.uuid(),
            "draft": {**draft, "version_id": ids.uuid()},
            "published": None,
            "published_at": None,
            "created_at": now,
            "updated_at": now,
        }
        self._free(draft["alias"], doc["id"])
        self._records.put("template", doc["id"], doc)
        return {"object": "template", "id": doc["id"]}

    def list(self) -> list[Body]:
        return [{name: _shown(doc)[name] for name in _LISTED} for doc in self._records.all("template")]

    def get(self, which: str) -> Body:
        return {"object": "template", **_shown(self._find(which))}

    def update(self, which: str, body: Body) -> Body:
        """Changes the draft; what is published stays as it is."""
        doc = self._find(which)
        for name in ("name", "html"):
            if name in body:
                fields.required(body, name)
        draft = {**doc["draft"], **self._content(body), "version_id": ids.uuid()}
        self._free(draft["alias"], doc["id"])
        self._put({**doc, "draft": draft})
        return {"object": "template", "id": doc["id"]}

    def publish(self, which: str) -> Body:
        doc = self._find(which)
        self._put({**doc, "published": doc["draft"], "published_at": times.stamp(self._site.clock())})
        return {"object": "template", "id": doc["id"]}

    def duplicate(self, which: str) -> Body:
        """A new draft under a name of its own; an alias is one template's only."""
        doc = self._find(which)
        draft: Body = {
            **doc["draft"],
            "name": f"{doc['draft']['name']} (Copy)",
            "alias": None,
            "version_id": ids.uuid(),
        }
        copy: Body = {**doc, "id": ids.uuid(), "draft": draft, "published": None, "published_at": None}
        self._put({**copy, "created_at": times.stamp(self._site.clock())})
        return {"object": "template", "id": copy["id"]}

    def delete(self, which: str) -> Body:
        doc = self._find(which)
        self._records.delete("template", doc["id"])
        return {"object": "template", "id": doc["id"], "deleted": True}

    def fill(self, asked: Body) -> Body:
        """What a mail takes from the published template that `asked` names, with its variables in place."""
        doc = self._find(fields.required(asked, "id"))
        content = doc["published"]
        if content is None:
            raise errors.invalid("The template is a draft. Publish it before you send it.")
        values = personal.values(content["variables"], fields.mapping(asked, "variables"))
        filled = {
            name: personal.fill(content[name], values) if content[name] else None
            for name in ("subject", "html", "text")
        }
        return {**filled, "from": content["from"], "reply_to": content["reply_to"], "id": doc["id"]}

    def _content(self, body: Body) -> Body:
        """What the body gives of a template's content."""
        found: Body = {name: fields.text(body, name) or None for name in ("alias", "from", "subject") if name in body}
        found |= {name: fields.text(body, name) for name in ("name", "html", "text") if body.get(name) is not None}
        if "reply_to" in body:
            found["reply_to"] = fields.addresses(body, "reply_to") or None
        if body.get("variables") is not None:
            found["variables"] = self._variables(body)
        return found

    def _variables(self, body: Body) -> list[Body]:
        given = [fields.as_object(each, "variables") for each in fields.items(body, "variables")]
        if len(given) > LARGEST:
            raise errors.invalid(f"A template may have at most {LARGEST} variables.")
        now = times.stamp(self._site.clock())
        at = {"created_at": now, "updated_at": now}
        return [{"id": ids.uuid(), **personal.variable(each, TYPES), **at} for each in given]

    def _free(self, alias: str | None, template_id: str) -> None:
        taken = next((doc for doc in self._records.all("template") if alias and doc["draft"]["alias"] == alias), None)
        if taken and taken["id"] != template_id:
            raise errors.invalid(f"A template with the alias `{alias}` already exists.")

    def _put(self, doc: Body) -> None:
        self._records.put("template", doc["id"], {**doc, "updated_at": times.stamp(self._site.clock())})

    def _find(self, which: str) -> Body:
        """By id or by alias."""
        doc = self._records.get("template", which)
        doc = doc or next((each for each in self._records.all("template") if each["draft"]["alias"] == which), None)
        if doc is None:
            raise errors.not_found("Template")
        return doc


def _shown(doc: Body) -> Body:
    content = {name: value for name, value in doc["draft"].items() if name != "version_id"}
    return {
        "id": doc["id"],
        **content,
        "current_version_id": doc["draft"]["version_id"],
        "status": "published" if doc["published"] else "draft",
        "published_at": doc["published_at"],
        "created_at": doc["created_at"],
        "updated_at": doc["updated_at"],
        "has_unpublished_versions": doc["draft"] != doc["published"],
    }
