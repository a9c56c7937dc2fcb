"""Users, organisations, and who belongs to which."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.github import errors

if TYPE_CHECKING:
    from server.twins.core import Records, Site

Doc = dict[str, Any]

LOGIN = "mk0r"
"""The user whose token the operator holds."""
ORGANIZATION = "mk0r-apps"
"""An organisation that user owns."""
_FIRST = {LOGIN: (1001, "User"), ORGANIZATION: (1002, "Organization")}
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?")
PROFILE = ("name", "email", "blog", "company", "location", "bio", "hireable", "twitter_username")
"""What a user says of themselves."""


def now(site: Site) -> str:
    """As GitHub writes it, to the second."""
    return site.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Accounts:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def begin(self) -> None:
        """The operator's user and organisation, where they are not there yet."""
        for login, (number, kind) in _FIRST.items():
            if self.named(login) is None:
                self._put(login, kind, number)
        self.join(self.get(ORGANIZATION), self.get(LOGIN), "admin")

    def add(self, login: str, kind: str = "User") -> Doc:
        """A new user or organisation. Raises where the name is no name, or taken."""
        if not _LOGIN.fullmatch(login):
            raise errors.invalid(kind, "invalid", "login")
        if self.named(login):
            raise errors.invalid(kind, "already_exists", "login")
        return self._put(login, kind, ids.number())

    def _put(self, login: str, kind: str, number: int) -> Doc:
        said = dict.fromkeys(PROFILE)
        times = {"created_at": now(self._site), "updated_at": now(self._site)}
        doc: Doc = {"id": number, "login": login, "type": kind, **said, **times}
        self._records.put("account", str(number), doc)
        self._records.put("login", login.lower(), {"id": number})
        return doc

    def change(self, doc: Doc, said: Doc) -> Doc:
        new = {**doc, **said, "updated_at": now(self._site)}
        self._records.put("account", str(doc["id"]), new)
        return new

    def all(self) -> list[Doc]:
        return self._records.all("account")

    def named(self, login: str) -> Doc | None:
        known = self._records.get("login", login.lower())
        return self.by_id(known["id"]) if known else None

    def get(self, login: str, kind: str = "") -> Doc:
        """The account of this name (and kind). Raises 404."""
        doc = self.named(login)
        if doc is None or kind not in ("", doc["type"]):
            raise errors.not_found()
        return doc

    def by_id(self, number: int) -> Doc:
        """Raises 404."""
        doc = self._records.get("account", str(number))
        if doc is None:
            raise errors.not_found()
        return doc

    def by_email(self, email: str) -> Doc | None:
        """Whose commits carry this address: the public one of a profile, or GitHub's own no-reply address."""
        wanted = email.lower()
        return next((doc for doc in self.all() if wanted in self.emails(doc)), None)

    def emails(self, doc: Doc) -> list[str]:
        """Every address that stands for this account, in lower case; the first is for its own commits."""
        login = doc["login"].lower()
        own = [doc["email"].lower()] if doc["email"] else []
        return [f"{doc['id']}+{login}@users.noreply.github.com", f"{login}@users.noreply.github.com", *own]

    # Organisations

    def join(self, organization: Doc, user: Doc, role: str) -> None:
        """`role` is `admin` (an owner) or `member`."""
        pair = {"organization": organization["id"], "user": user["id"], "role": role}
        self._records.put("membership", f"{organization['id']}:{user['id']}", pair)

    def leave(self, organization: Doc, user: Doc) -> bool:
        return self._records.delete("membership", f"{organization['id']}:{user['id']}")

    def membership(self, organization_id: int, user_id: int) -> str | None:
        """The role of a user in an organisation."""
        found = self._records.get("membership", f"{organization_id}:{user_id}")
        return found["role"] if found else None

    def members(self, organization: Doc) -> list[tuple[Doc, str]]:
        pairs = [each for each in self._records.all("membership") if each["organization"] == organization["id"]]
        return [(self.by_id(each["user"]), each["role"]) for each in pairs]

    def organizations(self, user: Doc) -> list[tuple[Doc, str]]:
        pairs = [each for each in self._records.all("membership") if each["user"] == user["id"]]
        return [(self.by_id(each["organization"]), each["role"]) for each in pairs]
