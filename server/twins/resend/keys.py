"""API keys: shown once, kept as a digest, full or sending only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.core.auth import digest
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

FULL, SENDING = "full_access", "sending_access"
OPERATOR = "00000000-0000-4000-8000-000000000001"
LONGEST_NAME = 50


@dataclass(frozen=True)
class Key:
    id: str
    name: str
    permission: str
    domain_id: str | None


class Keys:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def seed(self) -> None:
        """The operator's own key, which no snapshot and no reset takes away."""
        if not self._records.get("token", digest(self._site.credential.reveal())):
            self._keep(OPERATOR, "operator", FULL, None, self._site.credential.reveal())

    def create(self, body: Body) -> Body:
        """A name may be empty, as it may at Resend, but not missing."""
        permission = fields.text(body, "permission", FULL)
        if permission not in (FULL, SENDING):
            raise errors.invalid_access()
        domain_id = fields.text(body, "domain_id") or None
        if domain_id and not self._records.get("domain", fields.uuid(domain_id, "domain_id")):
            raise errors.not_found("Domain")
        token = f"{ids.token('re_', 8)}_{ids.token('', 24)}"
        key_id = ids.uuid()
        self._keep(key_id, _name(body), permission, domain_id if permission == SENDING else None, token)
        return {"id": key_id, "token": token}

    def _keep(self, key_id: str, name: str, permission: str, domain_id: str | None, token: str) -> None:
        doc: dict[str, Any] = {
            "id": key_id,
            "name": name,
            "permission": permission,
            "domain_id": domain_id,
            "digest": digest(token),
            "ends_with": token[-4:],
            "created_at": times.stamp(self._site.clock()),
            "last_used_at": None,
        }
        self._records.put("api_key", key_id, doc)
        self._records.put("token", doc["digest"], {"key": key_id})

    def authenticate(self, token: str) -> Key:
        """The key this token is. Raises what Resend answers to none and to a wrong one."""
        if not token:
            raise errors.missing_api_key()
        known = self._records.get("token", digest(token))
        doc = self._records.get("api_key", known["key"]) if known else None
        if doc is None:
            raise errors.invalid_api_key()
        self._records.put("api_key", doc["id"], {**doc, "last_used_at": times.stamp(self._site.clock())})
        return Key(doc["id"], doc["name"], doc["permission"], doc["domain_id"])

    def list(self) -> list[Body]:
        shown = ("id", "name", "created_at", "last_used_at")
        return [{field: doc[field] for field in shown} for doc in self._records.all("api_key")]

    def rename(self, key_id: str, body: Body) -> Body:
        doc = self._find(key_id)
        self._records.put("api_key", doc["id"], {**doc, "name": _name(body)})
        return {"object": "api_key", "id": doc["id"]}

    def delete(self, key_id: str) -> Body:
        doc = self._find(key_id)
        self._records.delete("token", doc["digest"])
        self._records.delete("api_key", doc["id"])
        return {"object": "api_key", "id": doc["id"], "deleted": True}

    def _find(self, key_id: str) -> Body:
        doc = self._records.get("api_key", fields.uuid(key_id))
        if doc is None:
            raise errors.not_found("API key")
        return doc


def _name(body: Body) -> str:
    if body.get("name") is None:
        raise errors.missing_field("name")
    name = fields.text(body, "name")
    if len(name) > LONGEST_NAME:
        raise errors.invalid(f"The `name` field must be at most {LONGEST_NAME} characters.")
    return name
