"""Whoever calls: a user, an installation of a GitHub App, or the App itself; and how far their token reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Doc = dict[str, Any]

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""A user's roles on a repository, each holding what the one before it holds."""
LEVELS = ("none", "read", "write", "admin")
"""How far a permission of a fine-grained or installation token goes."""


def at_least(role: str, wanted: str, order: tuple[str, ...] = ROLES) -> bool:
    return order.index(role) >= order.index(wanted)


@dataclass(frozen=True)
class Actor:
    """`account` is the user, the account an App is installed on, or the App's owner."""

    kind: Literal["user", "installation", "app"]
    token: str
    """Digest of the token: names it without holding it."""
    account: Doc
    scopes: frozenset[str] | None = None
    """Of a classic token; None for the others."""
    permissions: Doc | None = None
    """Of a fine-grained or installation token; None for the others."""
    repositories: frozenset[int] | None = None
    """The only repositories it reaches; None for all its owner has."""
    owner: int = 0
    """The one account whose repositories a fine-grained or installation token reaches."""
    installation: int = 0
    expires_at: str | None = None

    @property
    def is_user(self) -> bool:
        return self.kind == "user"

    @property
    def is_classic(self) -> bool:
        return self.scopes is not None

    @property
    def called(self) -> str:
        """As error messages call it."""
        return "personal access token" if self.is_user else "integration"

    def has_scope(self, *wanted: str) -> bool:
        """Whether a classic token has one of them; the others are not bound by scopes."""
        return self.scopes is None or bool(self.scopes & {*wanted})

    def grants(self, permission: str, level: str) -> bool:
        """Whether the token's permissions go so far; a classic token's are its user's."""
        if self.permissions is None:
            return True
        has = "read" if permission == "metadata" else "none"
        return at_least(self.permissions.get(permission, has), level, LEVELS)

    def reaches(self, repository: Doc) -> bool:
        """Whether the token covers the repository at all."""
        if self.permissions is None:
            return True
        listed = self.repositories is None or repository["id"] in self.repositories
        return repository["owner_id"] == self.owner and listed
