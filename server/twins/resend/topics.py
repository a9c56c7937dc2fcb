"""Topics: what a contact may subscribe to, and who has (Resend docs, "Topics")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from server.twins.core import ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body
    from server.twins.resend.webhooks import Webhooks

IN, OUT = "opt_in", "opt_out"
LONGEST_NAME, LONGEST_DESCRIPTION = 50, 200


class Topics:
    def __init__(self, site: Site, records: Records, webhooks: Webhooks) -> None:
        self._site = site
        self._records = records
        self._webhooks = webhooks

    def create(self, body: Body) -> Body:
        doc: dict[str, Any] = {
            "id": ids.uuid(),
            "name": _limited(body, "name", LONGEST_NAME, fields.required(body, "name")),
            "description": _limited(body, "description", LONGEST_DESCRIPTION),
            "default_subscription": fields.choice(body, "default_subscription", (IN, OUT)),
            "visibility": fields.choice(body, "visibility", ("public", "private"), "private"),
            "created_at": times.stamp(self._site.clock()),
        }
        self._keep("topic.created", doc)
        return {"object": "topic", "id": doc["id"]}

    def list(self) -> list[Body]:
        return self._records.all("topic")

    def get(self, topic_id: str) -> Body:
        return {"object": "topic", **self.find(topic_id)}

    def update(self, topic_id: str, body: Body) -> Body:
        """Not what newcomers are: that is settled when the topic is made."""
        doc = self.find(topic_id)
        doc["name"] = _limited(body, "name", LONGEST_NAME, doc["name"])
        doc["description"] = _limited(body, "description", LONGEST_DESCRIPTION, doc["description"])
        doc["visibility"] = fields.choice(body, "visibility", ("public", "private"), doc["visibility"])
        self._keep("topic.updated", doc)
        return {"object": "topic", "id": doc["id"]}

    def delete(self, topic_id: str) -> Body:
        doc = self.find(topic_id)
        self._records.delete("topic", doc["id"])
        self._webhooks.emit("topic.deleted", self._event(doc, deleted=True))
        return {"object": "topic", "id": doc["id"], "deleted": True}

    def find(self, topic_id: str) -> Body:
        doc = self._records.get("topic", fields.uuid(topic_id))
        if doc is None:
            raise errors.not_found("Topic")
        return doc

    def subscriptions(self, given: Any) -> dict[str, str]:
        """What a list of `{"id", "subscription"}` says, by topic."""
        if not isinstance(given, list):
            raise errors.invalid("The `topics` field must be an `array`.")
        told = [fields.as_object(each, "topics") for each in cast("list[Any]", given)]
        return {
            self.find(fields.required(each, "id"))["id"]: fields.choice(each, "subscription", (IN, OUT))
            for each in told
        }

    def of(self, contact: Body) -> list[Body]:
        """Every topic, with what this contact has said of it or, silent, is."""
        shown = ("id", "name", "description")
        return [
            {**{name: doc[name] for name in shown}, "subscription": subscription(contact, doc)} for doc in self.list()
        ]

    def _keep(self, event: str, doc: Body) -> None:
        self._records.put("topic", doc["id"], doc)
        self._webhooks.emit(event, self._event(doc))

    def _event(self, doc: Body, *, deleted: bool = False) -> Body:
        told = {name: doc[name] for name in ("id", "name", "description", "default_subscription")}
        at = {"created_at": times.iso(times.read(doc["created_at"])), "updated_at": self._site.timestamp()}
        return {**told, "deleted": deleted, **at}


def subscription(contact: Body | None, topic: Body) -> str:
    """Whoever is no contact is what newcomers are."""
    return (contact or {"topics": {}})["topics"].get(topic["id"], topic["default_subscription"])


def _limited(body: Body, name: str, longest: int, default: str = "") -> str:
    value = fields.text(body, name, default)
    if len(value) > longest:
        raise errors.invalid(f"The `{name}` field must be at most {longest} characters.")
    return value
