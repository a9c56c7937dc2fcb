"""What a person sees: the mailbox first, and behind it everything the team has."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from server.twins.core.view import Facts, Html, Image, Link, Table, Text, View
from server.twins.resend.files import RECEIVED, SENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.twins.core import Site
    from server.twins.core.view import Block, Cell
    from server.twins.resend.fields import Body
    from server.twins.resend.state import Team

LARGEST_SHOWN = 512 * 1024
"""Octets of an attachment that is shown in the page."""
MOST_SHOWN = 500
"""Mails on the front page, the newest."""
_LISTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "received": ("Received", "received", ("created_at", "from", "to", "subject")),
    "contacts": ("Contacts", "contact", ("email", "first_name", "last_name", "unsubscribed", "properties")),
    "segments": ("Segments", "segment", ("name", "created_at")),
    "topics": ("Topics", "topic", ("name", "default_subscription", "visibility")),
    "broadcasts": ("Broadcasts", "broadcast", ("name", "status", "subject", "scheduled_at", "sent_at")),
    "templates": ("Templates", "template", ("draft", "published_at", "updated_at")),
    "domains": ("Domains", "domain", ("name", "status", "region", "created_at")),
    "keys": ("API keys", "api_key", ("name", "permission", "ends_with", "created_at", "last_used_at")),
    "webhooks": ("Webhooks", "webhook", ("endpoint", "status", "events")),
    "suppressions": ("Suppressions", "suppression", ("email", "origin", "created_at")),
}
"""Path: title, kind of record, and what of each is in the table, the first leading to it."""
_UNTOLD = ("signing_secret", "digest", "dkim", "html", "text", "events", "attachments", "rows")
"""What is secret, or shown in a block of its own."""
_FILE = {"filename": "Name", "content_type": "Type", "content_disposition": "Disposition", "size": "Octets"}


class Viewing:
    def __init__(self, site: Site, team: Team) -> None:
        self._site = site
        self._team = team

    async def view(self, path: str) -> View:
        """The front page, a list, or one thing. Raises `KeyError`."""
        name, _, thing = path.partition("/")
        if not path:
            return self._front()
        if name == "mail":
            return self._mail(SENT, thing)
        if name == RECEIVED and thing:
            return self._mail(RECEIVED, thing)
        return self._one(name, thing) if thing else self._list(name)

    def _front(self) -> View:
        records, emails = self._team.records, self._team.quota.emails()
        mails = [
            (
                doc["created_at"][:19],
                Link(doc["subject"] or "(no subject)", f"mail/{doc['id']}"),
                ", ".join(doc["to"]),
                doc["from"],
                doc["key"],
                doc["last_event"],
            )
            for doc in records.all("email")[: -MOST_SHOWN - 1 : -1]
        ]
        counts: list[tuple[str, Cell]] = [
            (title, Link(str(len(records.all(kind))), path)) for path, (title, kind, _) in _LISTS.items()
        ]
        used = f"{emails['daily']['used']} today, {emails['monthly']['used']} this month"
        return View(
            "Resend",
            [
                Table("Mail", ("When", "Subject", "To", "From", "Key", "State"), mails),
                Facts("The team", [*counts, ("Emails", used), ("Plan", self._team.quota.plan.name)]),
            ],
        )

    def _list(self, path: str) -> View:
        title, kind, columns = _LISTS[path]
        rows = [self._row(path, doc, columns) for doc in reversed(self._team.records.all(kind))]
        return View(title, [Table(title, _titles(columns), rows)])

    def _row(self, path: str, doc: Body, columns: Sequence[str]) -> list[Cell]:
        first, *rest = columns
        text = doc["draft"]["name"] if path == "templates" else _said(doc[first])
        return [Link(text or "(none)", f"{path}/{doc['id']}"), *(_said(doc[name]) for name in rest)]

    def _one(self, path: str, thing: str) -> View:
        title, kind, _ = _LISTS[path]
        doc = self._record(kind, thing)
        shown = {**doc, **doc.get("draft", {})}
        facts = [
            (name.replace("_", " ").capitalize(), _said(value)) for name, value in shown.items() if _plain(name, value)
        ]
        blocks: list[Block] = [Facts(title, facts), *_written(shown), *self._about(path, doc)]
        return View(_title(shown), blocks, [Link(title, path)])

    def _about(self, path: str, doc: Body) -> list[Block]:
        """What belongs to a thing without being in its record."""
        records = self._team.records
        if path == "segments":
            within = [
                self._row("contacts", each, _LISTS["contacts"][2]) for each in self._team.contacts.within(doc["id"])
            ]
            return [Table("Contacts", _titles(_LISTS["contacts"][2]), within)]
        if path == "broadcasts":
            sent = [each for each in records.all("email") if each["broadcast_id"] == doc["id"]]
            rows = [(Link(each["to"][0], f"mail/{each['id']}"), each["last_event"]) for each in sent]
            return [Table("Sent to", ("Contact", "State"), rows)]
        if path == "domains":
            told = self._team.domains.get(doc["id"])["records"]
            columns = ("record", "name", "type", "value", "status")
            return [Table("DNS", _titles(columns), [[str(each[name]) for name in columns] for each in told])]
        if path == "webhooks":
            told = [each for each in records.all("webhook_event") if each["webhook_id"] == doc["id"]]
            rows = [(each["created_at"], each["type"], each["status"], str(len(each["attempts"]))) for each in told]
            return [Table("Told", ("When", "Event", "Status", "Attempts"), rows[::-1])]
        return []

    def _mail(self, kind: str, thing: str) -> View:
        doc = self._record(kind, thing)
        names = ("from", "to", "cc", "bcc", "reply_to", "created_at", "scheduled_at", "message_id", "key", "last_event")
        head: list[tuple[str, Cell]] = [
            (name.replace("_", " ").capitalize(), _said(doc[name])) for name in names if doc.get(name)
        ]
        head += [(tag["name"], tag["value"]) for tag in doc.get("tags", [])]
        if doc.get("broadcast_id"):
            head.append(("broadcast", Link(doc["broadcast_id"], f"broadcasts/{doc['broadcast_id']}")))
        events = [(each["at"], each["type"], ", ".join(each["to"])) for each in doc.get("events", [])]
        files = [[str(each.get(name) or "") for name in _FILE] for each in doc["attachments"]]
        drawn = {**doc, "html": self._with_pictures(kind, doc)}
        blocks: list[Block] = [Facts("Headers", head), *_written(drawn), *self._files(kind, doc)]
        if doc["headers"]:
            blocks.append(Facts("More headers", [(name, str(value)) for name, value in doc["headers"].items()]))
        if files:
            blocks.append(Table("Attachments", [*_FILE.values()], files))
        if events:
            blocks.append(Table("What became of it", ("When", "Event", "To"), events))
        up = [Link("Received", RECEIVED)] if kind == RECEIVED else []
        return View(doc["subject"] or "(no subject)", blocks, up)

    def _with_pictures(self, kind: str, doc: Body) -> str | None:
        """The HTML, with the pictures it shows of its own attachments (RFC 2392) in it: the page fetches none."""
        html: str | None = doc.get("html")
        for each in doc["attachments"]:
            mime, name = each["content_type"], each.get("content_id")
            small = mime.startswith("image/") and each["size"] <= LARGEST_SHOWN
            if html and name and small and (octets := self._octets(kind, doc, each["id"])) is not None:
                html = html.replace(f"cid:{name.strip('<>')}", f"data:{mime};base64,{b64encode(octets).decode()}")
        return html

    def _files(self, kind: str, doc: Body) -> list[Block]:
        """The attachments that can be looked at."""
        found: list[Block] = []
        for each in doc["attachments"]:
            looked_at = each["content_type"].startswith(("image/", "text/")) and each["size"] <= LARGEST_SHOWN
            if looked_at and (octets := self._octets(kind, doc, each["id"])) is not None:
                name, mime = each.get("filename") or "attachment", each["content_type"]
                is_text = mime.startswith("text/")
                shown = Text(name, octets.decode(errors="replace")) if is_text else _picture(name, mime, octets)
                found.append(shown)
        return found

    def _octets(self, kind: str, doc: Body, attachment_id: str) -> bytes | None:
        try:
            return self._team.files.octets(kind, doc, attachment_id)
        except KeyError:
            return None

    def _record(self, kind: str, thing: str) -> Body:
        doc = self._team.records.get(kind, thing)
        if doc is None:
            raise KeyError(thing)
        return doc


def _picture(name: str, mime: str, octets: bytes) -> Image:
    return Image(name, mime, b64encode(octets).decode())


def _written(doc: Body) -> list[Block]:
    """A mail's own text, drawn and plain."""
    html, text = doc.get("html"), doc.get("text")
    return [*([Html("HTML", html)] if html else []), *([Text("Text", text)] if text else [])]


def _plain(name: str, value: Any) -> bool:
    return name not in _UNTOLD and value is not None and name not in ("draft", "published")


def _titles(names: Sequence[str]) -> list[str]:
    return [name.replace("_", " ").capitalize() for name in names]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_said(each) for each in value)  # pyright: ignore[reportUnknownVariableType] - JSON
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_said(each)}" for key, each in value.items())  # pyright: ignore[reportUnknownVariableType] - JSON
    return "" if value is None else str(value)


def _title(doc: Body) -> str:
    return str(next((doc[name] for name in ("name", "email", "endpoint") if doc.get(name)), doc["id"]))
