"""A mail as it is asked for: which fields it needs, in which order Resend misses them, what each may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from server.twins.resend import errors, fields, schedule, times

if TYPE_CHECKING:
    from server.twins.core import Site
    from server.twins.resend.fields import Body
    from server.twins.resend.templates import Templates
    from server.twins.resend.topics import Topics

REFUSED = ("example.com", "example.net", "example.org", "test.com")
"""Nobody's domains: mail to them could only bounce (Resend docs, "What email addresses to use for testing")."""
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Submission:
    def __init__(self, site: Site, templates: Templates, topics: Topics) -> None:
        self._site = site
        self._templates = templates
        self._topics = topics

    def read(self, body: Body) -> Body:
        """The body's fields, and those of the template it names, checked."""
        filled = self._filled(body)
        body = {**body, **{name: filled[name] for name in ("from", "subject", "reply_to") if not body.get(name)}}
        if filled["id"]:
            body |= {"html": filled["html"], "text": filled["text"]}
        _present(body)
        if fields.bare(fields.text(body, "from")) is None:
            raise errors.invalid_from()
        scheduled = fields.text(body, "scheduled_at")
        return {
            "from": body["from"],
            **{name: _recipients(body, name) for name in ("to", "cc", "bcc")},
            "reply_to": fields.addresses(body, "reply_to"),
            "subject": fields.text(body, "subject"),
            "html": fields.text(body, "html") or None,
            "text": body.get("text") if body.get("text") is None else fields.text(body, "text"),
            "headers": _headers(body),
            "tags": [_tag(each) for each in fields.items(body, "tags")],
            "scheduled_at": times.stamp(schedule.when(scheduled, self._site.clock())) if scheduled else None,
            "template_id": filled["id"],
            "topic_id": self._topic(body),
        }

    def _filled(self, body: Body) -> Body:
        if body.get("template") is None:
            return dict.fromkeys(("id", "from", "subject", "reply_to", "html", "text"))
        if body.get("html") or body.get("text"):
            raise errors.invalid("The `template` field cannot be used together with `html` or `text`.")
        return self._templates.fill(fields.mapping(body, "template"))

    def _topic(self, body: Body) -> str | None:
        topic = fields.text(body, "topic_id")
        return self._topics.find(topic)["id"] if topic else None


def _present(body: Body) -> None:
    for name in ("to", "from"):
        if not body.get(name):
            raise errors.missing_field(name)
    if not (body.get("html") or body.get("text")):
        raise errors.invalid("Missing `html` or `text` field.")
    if not body.get("subject"):
        raise errors.missing_field("subject")


def _recipients(body: Body, name: str) -> list[str]:
    found = fields.addresses(body, name)
    if any(fields.domain(each) in REFUSED for each in found):
        raise errors.example_domain(name)
    return found


def _headers(body: Body) -> Body:
    found = fields.mapping(body, "headers")
    if not all(isinstance(value, (str, int, float)) for value in found.values()):
        raise errors.invalid("The `headers` field must hold texts.")
    return {name: str(value) for name, value in found.items()}


def _tag(each: Any) -> Body:
    given = fields.as_object(each, "tags")
    tag = {name: fields.required(given, name) for name in ("name", "value")}
    if not all(_TAG.fullmatch(value) for value in tag.values()):
        raise errors.invalid("Tags should only contain ASCII letters, numbers, underscores, or dashes.")
    return tag
