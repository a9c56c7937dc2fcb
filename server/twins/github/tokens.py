"""Tokens: their forms, what each stands for, and when it ends."""

from __future__ import annotations

import json
import string
import zlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from hmac import new as hmac
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.core.auth import digest, same
from server.twins.github import errors
from server.twins.github.accounts import LOGIN
from server.twins.github.actors import Actor

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.github.accounts import Accounts

Doc = dict[str, Any]

OPERATOR_SCOPES = ("admin:org", "delete_repo", "repo", "user", "workflow")
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def checked(prefix: str, length: int) -> str:
    """A token whose last six characters are its checksum, as secret scanners expect of GitHub's."""
    body = ids.token("", length - 6)
    number, tail = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        tail = _BASE62[digit] + tail
    return prefix + body + tail


def classic_form() -> str:
    return checked("ghp_", 36)


def fine_grained_form() -> str:
    return f"github_pat_{ids.token('', 22)}_{checked('', 59)}"


def installation_form(app_id: int, installation_id: int, expires_at: datetime, *, stateless: bool) -> str:
    """The short form of old, or the long one: nobody but GitHub is to read what its JSON web token says."""
    if not stateless:
        return checked("ghs_", 36)
    claims = {"iss": "github", "sub": f"app/{app_id}/installation/{installation_id}", "jti": ids.token("", 32)}
    parts = [{"alg": "HS256", "typ": "JWT"}, {**claims, "exp": int(expires_at.timestamp()), "v": ids.token("", 128)}]
    signed = ".".join(_part(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"ghs_{app_id}_{signed}.{_part(hmac(ids.uuid().encode(), signed.encode(), sha256).digest())}"


def _part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


class Tokens:
    def __init__(self, site: Site, records: Records, accounts: Accounts) -> None:
        self._site = site
        self._records = records
        self._accounts = accounts

    def add(self, token: str, doc: Doc, expires_at: datetime | None) -> str:
        """Remember what `token` stands for; the token itself is not kept."""
        ends = expires_at.astimezone(UTC).isoformat() if expires_at else None
        self._records.put("token", digest(token), {**doc, "ends": token[-4:], "expires_at": ends})
        return token

    def actor(self, token: str) -> Actor | None:
        """Who holds it; None for one that is unknown, revoked or past its time."""
        if same(token, self._site.credential):
            user = self._accounts.get(LOGIN)
            return Actor("user", digest(token), user, scopes=frozenset(OPERATOR_SCOPES))
        doc = self._records.get("token", digest(token)) if token else None
        if doc is None or self._is_over(doc):
            return None
        return self._actor(digest(token), doc)

    def _is_over(self, doc: Doc) -> bool:
        return doc["expires_at"] is not None and datetime.fromisoformat(doc["expires_at"]) <= self._site.clock()

    def _actor(self, token: str, doc: Doc) -> Actor | None:
        installation, listed = doc.get("installation", 0), doc.get("repositories")
        if installation:
            found = self._records.get("installation", str(installation))
            if found is None:
                return None
            if found["suspended_at"]:
                raise errors.suspended()
            if found["repositories"] is not None:  # what it is installed on may change while the token holds
                within = {*found["repositories"]}
                listed = [*(within if listed is None else within & {*listed})]
        return Actor(
            "installation" if installation else "user",
            token,
            self._accounts.by_id(doc["account"]),
            scopes=frozenset(doc["scopes"]) if "scopes" in doc else None,
            permissions=doc.get("permissions"),
            repositories=None if listed is None else frozenset(listed),
            owner=doc.get("owner", 0),
            installation=installation,
            expires_at=doc["expires_at"],
        )

    def revoke(self, token: str) -> None:
        """By its digest."""
        self._records.delete("token", token)

    def all(self) -> list[Doc]:
        """The tokens there are, without the tokens."""
        return [doc for doc in self._records.all("token") if not self._is_over(doc)]
