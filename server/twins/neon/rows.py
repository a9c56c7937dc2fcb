"""What the twin remembers: the vendor's documents and, beside each, what only the twin knows."""

from __future__ import annotations

from typing import Any, TypedDict

from server.twins.core import ids

Doc = dict[str, Any]


class ProjectRow(TypedDict):
    id: str
    position: str
    """Where it is in lists; a page's cursor. It stays comparable when the project it came from is gone."""
    status: str
    """`creating`, `ready`, or `deleted`: disabled, and to be dropped when it can no longer be recovered."""
    org: str
    doc: Doc
    deleted_at: str
    blocked: str
    """The quota it has used up; its computes cannot start. Empty when there is none."""


class RoleRow(TypedDict):
    name: str
    """As the caller asked for it; on the cluster it is another."""
    created_at: str
    updated_at: str
    no_login: bool
    verifier: str
    """What PostgreSQL checks a password with."""
    password: str
    """Empty when the project does not store passwords."""


class DatabaseRow(TypedDict):
    id: int
    name: str
    owner: str
    created_at: str
    updated_at: str


def copied(roles: list[RoleRow]) -> list[RoleRow]:
    return [RoleRow(**role) for role in roles]


def renumbered(databases: list[DatabaseRow]) -> list[DatabaseRow]:
    """The same, as others: a database's id is never another's."""
    rows = [DatabaseRow(**database) for database in databases]
    for row in rows:
        row["id"] = ids.number()
    return rows


class Data(TypedDict):
    """What a branch holds and a snapshot keeps. `scope` ends the names of its databases on the cluster."""

    scope: str
    roles: list[RoleRow]
    databases: list[DatabaseRow]


class BranchRow(Data):
    id: str
    project: str
    status: str
    doc: Doc
    annotation: Doc
    deleted_at: str
    deletion_method: str
    full: bool
    """Over its logical size: sessions begin read-only."""
    sizes: dict[str, int]
    """Bytes of each database, by its name on the cluster, when last looked at."""
    counters: dict[str, int]
    """Rows changed in each database, likewise."""
    still_since: str
    """Nothing has changed since then, as far as was seen."""


def size_of(branch: BranchRow) -> int:
    return sum(branch["sizes"].values())


class EndpointRow(TypedDict):
    id: str
    project: str
    branch: str
    doc: Doc
    deleted_at: str
    active_since: str
    """Until when its time is not yet counted; empty while it is idle."""
    last_active: str


class SnapshotRow(Data):
    id: str
    project: str
    doc: Doc


class OperationRow(TypedDict):
    id: str
    project: str
    position: str
    doc: Doc
    work: Doc
    """What it does: `{"do": name, ...}`; empty when it was over before it was written down."""


class OrganizationRow(TypedDict):
    id: str
    doc: Doc
    members: list[str]
    projects_limit: int


class UserRow(TypedDict):
    id: str
    email: str
    name: str


class KeyRow(TypedDict):
    id: str
    digest: str
    name: str
    user: str
    """Who made it."""
    org: str
    """Empty for a personal key."""
    project: str
    """Empty unless it opens one project only."""
    created_at: str
    last_used_at: str
    last_used_from: str


class TransferRow(TypedDict):
    id: str
    project: str
    created_at: str
    expires_at: str


class UsageRow(TypedDict):
    """What a branch used in one hour."""

    id: str
    project: str
    branch: str
    hour: str
    root: bool
    active_seconds: float
    compute_seconds: float
    transfer_bytes: int
    byte_hours: float


class TrashRow(TypedDict):
    """A database or a role of the cluster that nobody can reach any more, to be dropped."""

    id: str
    kind: str
