"""What a person sees: the repositories with their branches, commits and files, and who is who.

A view's path is that of the same place's `html_url`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core.view import Facts, Link, Table, View
from server.twins.github.repository_view import RepositoryView

if TYPE_CHECKING:
    from server.twins.core.view import Cell
    from server.twins.github.state import Hub

Doc = dict[str, Any]

MOST = 100
"""Lines of a list."""


class Viewing:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def view(self, path: str) -> View:
        """Raises `KeyError` for a path that shows nothing."""
        parts = path.strip("/").split("/")
        if path.strip("/") == "":
            return self._front()
        if len(parts) == 1:
            return self._account(parts[0])
        doc = self._hub.repositories.named(parts[0], parts[1])
        if doc is None:
            raise KeyError(path)
        return await RepositoryView(self._hub, doc).view(parts[2:])

    def _front(self) -> View:
        hub = self._hub
        repositories = [self._row(doc) for doc in hub.repositories.all()[::-1][:MOST]]
        accounts = [(Link(doc["login"], doc["login"]), doc["type"]) for doc in hub.accounts.all()]
        installed = [
            (hub.accounts.by_id(each["account"])["login"], str(each["id"]), _permissions(each["permissions"]))
            for each in hub.installations.all()
        ]
        tokens = [
            (hub.accounts.by_id(each["account"])["login"], f"…{each['ends']}", each["expires_at"] or "never")
            for each in hub.tokens.all()[::-1][:MOST]
        ]
        return View(
            "GitHub",
            [
                Table("Repositories", ["Name", "Visibility", "Last push"], repositories),
                Table("Users and organisations", ["Name", "Kind"], accounts),
                Table(f"Installations of {hub.key.slug} (App {hub.key.id})", ["On", "Id", "May"], installed),
                Table("Tokens", ["Of", "Ends with", "Holds until"], tokens),
                Table(
                    "Waiting transfers",
                    ["Repository", "To"],
                    [self._transfer(each) for each in hub.transfers.pending()],
                ),
            ],
        )

    def _row(self, doc: Doc) -> tuple[Cell, ...]:
        name = self._hub.repositories.full_name(doc)
        return Link(name, name), "private" if doc["private"] else "public", doc["pushed_at"]

    def _transfer(self, transfer: Doc) -> tuple[Cell, ...]:
        doc = self._hub.repositories.by_id(transfer["repository"])
        name = self._hub.repositories.full_name(doc) if doc else "gone"
        return name, self._hub.accounts.by_id(transfer["owner"])["login"]

    def _account(self, login: str) -> View:
        doc = self._hub.accounts.named(login)
        if doc is None:
            raise KeyError(login)
        rows = [self._row(each) for each in self._hub.repositories.of(doc)[::-1][:MOST]]
        facts = Facts(doc["type"], [("Id", str(doc["id"])), ("Since", doc["created_at"])])
        return View(doc["login"], [facts, Table("Repositories", ["Name", "Visibility", "Last push"], rows)])


def _permissions(granted: Doc) -> str:
    return ", ".join(f"{name}: {level}" for name, level in granted.items())
