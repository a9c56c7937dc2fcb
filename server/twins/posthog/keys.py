"""Who may call the private API: personal keys with their scopes, and the project's secret key.

A key is shown once and stored as a digest. In PostHog a person makes one in the settings; here `POST /_twin/keys`
makes one, and `mk0r twins` prints the operator's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.secrets import Secret
from server.twins.core import ids
from server.twins.core.auth import digest, same
from server.twins.posthog import errors

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.posthog.store import Store

SECRET_PREFIX, PERSONAL_PREFIX = "phs_", "phx_"
_BEARER = re.compile(r"^Bearer\s+(\S.+)$")


@dataclass(frozen=True)
class Key:
    digest: str
    label: str
    ending: str
    scopes: tuple[str, ...] | None
    """None for the project's secret key, which has none and opens flag definitions only."""

    @property
    def is_secret(self) -> bool:
        return self.scopes is None

    def demand(self, scope: str) -> None:
        """Raises a 403 unless the key has the scope; one that may write may also read."""
        if self.scopes is None:
            raise errors.forbidden("You do not have permission to perform this action.")
        enough = {"*", scope, scope.replace(":read", ":write")}
        if not enough & {*self.scopes}:
            raise errors.missing_scope(scope)


class Keys:
    def __init__(self, store: Store, admin: Secret) -> None:
        self._store = store
        self.operators = Secret(PERSONAL_PREFIX + ids.derived(admin, "personal key", 43))
        """The operator's personal key: it opens everything, and outlives a restart and a reset."""

    def make_personal(self, label: str, scopes: list[str]) -> str:
        return self._add(ids.token(PERSONAL_PREFIX, 43), label, json.dumps(scopes))

    def make_secret(self) -> str:
        """The project's secret key; the one before it is no longer valid."""
        self._store.run("delete from api_key where scopes is null")
        return self._add(ids.token(SECRET_PREFIX, 43), "Project secret key", None)

    def all(self) -> list[Key]:
        rows = self._store.all("select * from api_key order by rowid")
        return [self._key(row["digest"], row["label"], row["ending"], row["scopes"]) for row in rows]

    def remove(self, ending: str) -> bool:
        return self._store.run("delete from api_key where ending = ?", ending) > 0

    def caller(self, request: Request) -> Key:
        """Whose key the request carries. Raises a 401 for none or a wrong one."""
        found = _BEARER.match(request.headers.get("authorization", ""))
        token, source = (found[1].strip(), "Authorization header") if found else ("", "")
        if not token and (token := request.query_params.get("personal_api_key", "")):
            source = "query string"
        if not token:
            raise errors.not_authenticated()
        if same(token, self.operators):
            return Key(digest(token), "mk0r twins", token[-4:], ("*",))
        row = self._store.one("select * from api_key where digest = ?", digest(token))
        if row is None:
            raise errors.bad_secret_key() if token.startswith(SECRET_PREFIX) else errors.bad_personal_key(source)
        return self._key(row["digest"], row["label"], row["ending"], row["scopes"])

    def _add(self, token: str, label: str, scopes: str | None) -> str:
        self._store.run("insert into api_key values (?, ?, ?, ?)", digest(token), label, token[-4:], scopes)
        return token

    @staticmethod
    def _key(digest: str, label: str, ending: str, scopes: str | None) -> Key:
        return Key(digest, label, ending, None if scopes is None else tuple(json.loads(scopes)))
