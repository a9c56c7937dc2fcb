"""Where the GitHub App is installed, what it may do there, and the short-lived tokens it gets for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from server.twins.core import ids
from server.twins.github import errors
from server.twins.github.accounts import LOGIN, ORGANIZATION, now
from server.twins.github.actors import LEVELS, Actor, at_least
from server.twins.github.fields import many
from server.twins.github.tokens import installation_form

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.github.accounts import Accounts
    from server.twins.github.app_key import AppKey
    from server.twins.github.repositories import Repositories
    from server.twins.github.tokens import Tokens

Doc = dict[str, Any]

PERMISSIONS = {
    "administration": "write",
    "contents": "write",
    "members": "read",
    "metadata": "read",
    "workflows": "write",
}
"""What the App asks for, and is given wherever it is installed."""
LIFE = timedelta(hours=1)
MOST_REPOSITORIES = 500


class Installations:
    def __init__(  # noqa: PLR0917 - the parts it stands on
        self, site: Site, records: Records, key: AppKey, accounts: Accounts, tokens: Tokens, repositories: Repositories
    ) -> None:
        self._site = site
        self._records = records
        self._key = key
        self._accounts = accounts
        self._tokens = tokens
        self._repositories = repositories

    def begin(self) -> None:
        """On the operator's two accounts, for all their repositories."""
        for login in (LOGIN, ORGANIZATION):
            account = self._accounts.get(login)
            if self.on(account["id"]) is None:
                self.install(account, None, PERMISSIONS)

    def install(self, account: Doc, repositories: list[int] | None, permissions: Doc) -> Doc:
        """On an account; `repositories` None stands for all it has and will have."""
        before = self.on(account["id"])
        doc: Doc = {
            "id": before["id"] if before else ids.number(90_000_000),
            "account": account["id"],
            "repositories": repositories,
            "permissions": {**permissions, "metadata": "read"},
            "created_at": before["created_at"] if before else now(self._site),
            "updated_at": now(self._site),
            "suspended_at": None,
        }
        self._records.put("installation", str(doc["id"]), doc)
        return doc

    def remove(self, doc: Doc) -> None:
        self._records.delete("installation", str(doc["id"]))

    def change(self, doc: Doc, **values: Any) -> Doc:
        new = {**doc, **values, "updated_at": now(self._site)}
        self._records.put("installation", str(doc["id"]), new)
        return new

    def all(self) -> list[Doc]:
        return self._records.all("installation")

    def get(self, installation_id: int) -> Doc:
        found = self._records.get("installation", str(installation_id))
        if found is None:
            raise errors.not_found()
        return found

    def on(self, account_id: int) -> Doc | None:
        return next((doc for doc in self.all() if doc["account"] == account_id), None)

    def covers(self, doc: Doc, repository: Doc) -> bool:
        listed = doc["repositories"]
        return repository["owner_id"] == doc["account"] and (listed is None or repository["id"] in listed)

    def repositories(self, doc: Doc) -> list[Doc]:
        return [each for each in self._repositories.all() if self.covers(doc, each)]

    def token(self, doc: Doc, asked: Doc, *, stateless: bool) -> tuple[str, Doc]:
        """A token for an hour, and what it stands for. `asked` may narrow its repositories and permissions."""
        if doc["suspended_at"]:
            raise errors.suspended()
        expires_at = (self._site.clock() + LIFE).replace(microsecond=0)
        repositories = self._chosen(doc, asked)
        granted: Doc = {
            "installation": doc["id"],
            "account": doc["account"],
            "owner": doc["account"],
            "permissions": _narrowed(doc["permissions"], asked.get("permissions")),
            "repositories": None if repositories is None else [each["id"] for each in repositories],
        }
        token = installation_form(self._key.id, doc["id"], expires_at, stateless=stateless)
        self._tokens.add(token, granted, expires_at)
        return token, {**granted, "expires_at": expires_at, "chosen": repositories}

    def _chosen(self, doc: Doc, asked: Doc) -> list[Doc] | None:
        """The repositories asked for by name or id; None where none were."""
        names, numbers = many(asked, "repositories"), many(asked, "repository_ids")
        if not names and not numbers:
            return None
        if len(names) + len(numbers) > MOST_REPOSITORIES:
            raise errors.unprocessable("You may only request up to 500 repositories.")
        within = self.repositories(doc)
        by_name = {each["name"].lower(): each for each in within}
        by_id = {each["id"]: each for each in within}
        found = [by_name.get(str(name).lower()) for name in names]
        found += [by_id.get(number) for number in numbers]
        if None in found:
            raise errors.unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation."
            )
        return [*{each["id"]: each for each in cast("list[Doc]", found)}.values()]

    def include(self, actor: Actor, repository: Doc) -> None:
        """What an installation on selected repositories makes, it is installed on."""
        doc = self.of(actor)
        if doc["repositories"] is not None:
            self.change(doc, repositories=[*doc["repositories"], repository["id"]])

    def of(self, actor: Actor) -> Doc:
        return self.get(actor.installation)


def _narrowed(granted: Doc, asked: Any) -> Doc:
    """The permissions asked for, none further than was granted; all of them where nothing was asked for."""
    if not asked:
        return granted
    if not isinstance(asked, dict):
        raise errors.wrong_type("permissions", asked, "an object")
    wanted = cast("dict[str, Any]", asked)
    for name, level in wanted.items():
        if level not in LEVELS[1:] or not at_least(granted.get(name, "none"), level, LEVELS):
            raise errors.unprocessable("The permissions requested are not granted to this installation.")
    return {**wanted, "metadata": "read"}
