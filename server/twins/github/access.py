"""Who may do what with a repository: a user's role on it, cut to what their token allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from server.twins.github import errors
from server.twins.github.actors import at_least

if TYPE_CHECKING:
    from server.twins.core import Records
    from server.twins.github.accounts import Accounts
    from server.twins.github.actors import Actor

Doc = dict[str, Any]


@dataclass(frozen=True)
class Need:
    """What an operation asks of a user (a role) and of a fine-grained or installation token (a permission)."""

    role: Literal["read", "write", "admin"]
    permission: str
    level: Literal["read", "write"]
    scope: str = "repo"
    """What it asks of a classic token, for a private repository."""

    @property
    def accepted(self) -> str:
        """As `X-Accepted-GitHub-Permissions` has it."""
        return f"{self.permission}={self.level}"


METADATA = Need("read", "metadata", "read")
READ = Need("read", "contents", "read")
WRITE = Need("write", "contents", "write")
PUSHERS = Need("write", "metadata", "read")
SEE_ADMINISTRATION = Need("admin", "administration", "read")
ADMINISTER = Need("admin", "administration", "write")
DELETE = Need("admin", "administration", "write", "delete_repo")


class Access:
    def __init__(self, records: Records, accounts: Accounts) -> None:
        self._records = records
        self._accounts = accounts

    def role_of(self, user: Doc, repository: Doc) -> str:
        """A user's own role, whatever token they use."""
        owner = repository["owner_id"]
        membership = self._accounts.membership(owner, user["id"])
        if owner == user["id"] or membership == "admin":
            return "admin"
        collaborator = self._records.get("collaborator", f"{repository['id']}:{user['id']}")
        role = collaborator["role"] if collaborator else "none"
        base = "read" if membership or not repository["private"] else "none"
        return role if at_least(role, base) else base

    def role(self, actor: Actor | None, repository: Doc) -> str:
        """How far a caller gets; `none` means that the repository is not there for them."""
        public = "none" if repository["private"] else "read"
        if actor is None or actor.kind == "app":
            return public
        if not actor.reaches(repository):
            return public
        if actor.kind == "installation":
            return self._granted(actor)
        own = self.role_of(actor.account, repository)
        if actor.is_classic:
            enough = actor.has_scope("repo") or (not repository["private"] and actor.has_scope("public_repo"))
            return own if enough else public
        granted = self._granted(actor)
        return own if at_least(granted, own) else granted

    def _granted(self, actor: Actor) -> str:
        """A token's permissions as a role."""
        if actor.grants("administration", "write"):
            return "admin"
        return "write" if actor.grants("contents", "write") else "read"

    def sees(self, actor: Actor | None, repository: Doc) -> bool:
        return self.role(actor, repository) != "none"

    def may(self, actor: Actor | None, repository: Doc, need: Need) -> bool:
        """Whether it would be done, for a repository that can be seen."""
        if need.role == "read" and not repository["private"]:
            return True
        if actor is None or not actor.reaches(repository) or not actor.grants(need.permission, need.level):
            return False
        if actor.kind == "user":
            return at_least(self.role_of(actor.account, repository), need.role) and actor.has_scope(
                need.scope, *(("public_repo",) if need.scope == "repo" else ())
            )
        return actor.kind == "installation"

    def demand(self, actor: Actor | None, repository: Doc, need: Need) -> None:
        """Raises what GitHub answers to one who may not: 404 for what they cannot see, else what they lack."""
        if not self.sees(actor, repository):
            raise errors.not_found()
        if not self.may(actor, repository, need):
            raise self._refusal(actor, need)
        if repository["archived"] and need.level == "write" and need != DELETE:
            raise errors.archived()

    def _refusal(self, actor: Actor | None, need: Need) -> errors.Refusal:
        if actor is None:
            return errors.requires_authentication()
        if not actor.is_classic:
            refusal = errors.not_accessible(actor.called)
            return errors.Refusal(
                403, refusal.body["message"], headers={"X-Accepted-GitHub-Permissions": need.accepted}
            )
        return errors.no_admin() if need.role == "admin" else errors.not_found()

    def may_touch_workflows(self, actor: Actor) -> bool:
        return actor.has_scope("workflow") and actor.grants("workflows", "write")
