"""The GitHub App the operator owns: its id, its private key, and whether an assertion was signed with it.

All of it is made at the first start and lies in one file, 0600, beside the records; it outlives a reset, as the
operator's own token does.
"""

from __future__ import annotations

import binascii
import json
import os
from base64 import urlsafe_b64decode
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from server.twins.core import ids
from server.twins.github import errors

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

LONGEST = 600
"""Seconds an assertion may hold (GitHub docs, "Generating a JSON web token")."""


@dataclass(frozen=True)
class AppKey:
    id: int
    client_id: str
    slug: str
    made_at: str
    pem: str

    def verified(self, token: str, now: datetime) -> None:
        """Raises 401 for an assertion that is not this App's, or not of this hour; 404 for an unknown App's."""
        try:
            head, body, signature = token.split(".")
            header, claims = _decoded(head), _decoded(body)
            signed, proof = f"{head}.{body}".encode(), _raw(signature)
        except ValueError:
            raise errors.bad_assertion() from None
        if header.get("alg") != "RS256":
            raise errors.bad_assertion()
        self._check_issuer(claims)
        try:
            key = cast("rsa.RSAPrivateKey", load_pem_private_key(self.pem.encode(), None)).public_key()
            key.verify(proof, signed, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            raise errors.bad_assertion() from None
        _check_times(claims, int(now.timestamp()))

    def _check_issuer(self, claims: dict[str, Any]) -> None:
        if "iss" not in claims:
            raise errors.bad_assertion("Missing 'issuer' claim ('iss') in assertion")
        if str(claims["iss"]) not in (str(self.id), self.client_id):
            raise errors.not_found("Integration not found")


def _check_times(claims: dict[str, Any], now: int) -> None:
    for name, claim in (("issued at", "iat"), ("expiration time", "exp")):
        if claim not in claims:
            raise errors.bad_assertion(f"Missing '{name}' claim ('{claim}') in assertion")
    if not _is_time(claims["iat"]) or claims["iat"] > now:
        raise errors.bad_assertion(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        )
    if not _is_time(claims["exp"]) or claims["exp"] <= now:
        raise errors.bad_assertion(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires"
        )
    if claims["exp"] > now + LONGEST:
        raise errors.bad_assertion("'Expiration time' claim ('exp') is too far in the future")


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _raw(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError from error


def _decoded(part: str) -> dict[str, Any]:
    found = json.loads(_raw(part))
    if not isinstance(found, dict):
        raise ValueError  # noqa: TRY004 - whatever is wrong with it, it cannot be decoded
    return cast("dict[str, Any]", found)


def app_key(folder: Path, now: str) -> AppKey:
    """The one in the folder; a new one where there is none."""
    path = folder / "app.json"
    if not path.exists():
        _write(path, _new(now))
    return AppKey(**json.loads(path.read_text()))


def _new(now: str) -> AppKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return AppKey(ids.number(9_000_000), ids.token("Iv23li", 14), "mk0r-local", now, pem)


def _write(path: Path, key: AppKey) -> None:
    """Whole or not at all, and never readable by others."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(key), file)
    part.replace(path)
