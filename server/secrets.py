"""A secret is a type: it prints as `***` and gives its value through one method."""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


class Secret:
    """A value that must not reach a log, a result, an exception, argv or git."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Search for `.reveal(` to find every place that can see one."""
        return self._value

    def fingerprint(self) -> str:
        """Eight hex digits that tell two values apart and give neither away."""
        return sha256(b"mk0r fingerprint\0" + self._value.encode()).hexdigest()[:8]

    def disguises(self) -> tuple[str, ...]:
        """The value as it may show up in output: plain, percent-encoded, and in base64 at any offset."""
        raw = self._value.encode()
        inner = [b64encode(b"\0" * pad + raw).decode() for pad in range(3)]
        # The first and last characters of each form also encode neighbouring bytes, so only the middle is fixed.
        middles = [text.rstrip("=")[4 if pad else 0 : -1] for pad, text in enumerate(inner)]
        forms = [self._value, quote(self._value, safe=""), *middles]
        forms += [m.replace("+", "-").replace("/", "_") for m in middles]
        return tuple(dict.fromkeys(f for f in forms if len(f) >= 8))  # noqa: PLR2004 - shorter is noise

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not pickled: keep it in the vault and pass a reference")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Secret) else Secret(str(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


def scrub(text: str, secrets: list[Secret]) -> str:
    """`text` with every secret, in each of its disguises, replaced by `***`."""
    for form in sorted({form for secret in secrets for form in secret.disguises()}, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
