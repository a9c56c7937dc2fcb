"""Deploy keys: kept and checked as GitHub does. There is no SSH here for them to open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from server.twins.core import ids
from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.fields import flag, text

if TYPE_CHECKING:
    from server.twins.core import Records, Site

Doc = dict[str, Any]

_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-ed25519", "sk-ecdsa-sha2-")
SMALLEST_RSA = 2048


class DeployKeys:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def all(self, repository: Doc) -> list[Doc]:
        return [each for each in self._records.all("deploy_key") if each["repository"] == repository["id"]]

    def add(self, repository: Doc, body: Doc, added_by: str) -> Doc:
        key = _checked(text(body, "key", needed=True))
        if any(each["key"] == key for each in self._records.all("deploy_key")):
            raise _refused("key is already in use")
        doc: Doc = {
            "id": ids.number(),
            "repository": repository["id"],
            "key": key,
            "title": text(body, "title") or key.split()[0],
            "read_only": flag(body, "read_only"),
            "created_at": now(self._site),
            "added_by": added_by,
        }
        self._records.put("deploy_key", str(doc["id"]), doc)
        return doc

    def get(self, repository: Doc, key_id: int) -> Doc:
        found = self._records.get("deploy_key", str(key_id))
        if found is None or found["repository"] != repository["id"]:
            raise errors.not_found()
        return found

    def remove(self, doc: Doc) -> None:
        self._records.delete("deploy_key", str(doc["id"]))


def _checked(asked: str) -> str:
    """The key without its comment. Raises for what is no public key of a kind GitHub takes."""
    key = " ".join(asked.split()[:2])
    if not key.startswith(_KINDS) or not _is_sound(key):
        raise _refused("key is invalid. You must supply a key in OpenSSH public key format")
    return key


def _is_sound(key: str) -> bool:
    try:
        public = load_ssh_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return not isinstance(public, RSAPublicKey) or public.key_size >= SMALLEST_RSA


def _refused(message: str) -> errors.Refusal:
    return errors.invalid("PublicKey", "custom", "key", message=message)
