"""What GitHub calls things: node ids, repository names, paths."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode

from server.twins.github import errors

LONGEST_NAME = 100

_PREFIXES = {
    "User": "U",
    "Organization": "O",
    "Repository": "R",
    "Commit": "C",
    "Blob": "B",
    "Tree": "T",
    "Tag": "TA",
    "Ref": "REF",
    "App": "A",
}


def node_id(kind: str, *identity: int | str) -> str:
    """The global id of today: a prefix, and a MessagePack array of 0 and what names the object."""
    packed = bytes([0x90 + 1 + len(identity), 0]) + b"".join(_packed(part) for part in identity)
    return f"{_PREFIXES[kind]}_{urlsafe_b64encode(packed).decode().rstrip('=')}"


def old_node_id(kind: str, number: int) -> str:
    """The global id of kinds that have not moved to the new form."""
    return b64encode(f"0{len(kind)}:{kind}{number}".encode()).decode()


def _packed(part: int | str) -> bytes:
    if isinstance(part, int):
        return b"\xce" + part.to_bytes(4)
    text = part.encode()
    return (bytes([0xA0 + len(text)]) if len(text) < 0x20 else b"\xda" + len(text).to_bytes(2)) + text  # noqa: PLR2004


def repository_name(asked: str) -> str:
    """GitHub replaces what a name may not hold rather than refuse it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", asked).removesuffix(".git")
    if len(name) > LONGEST_NAME:
        raise errors.name_too_long()
    if name in ("", ".", ".."):
        raise errors.not_supplied("name")
    return name


def checked_path(path: str, field: str = "path") -> str:
    """A path a tree may hold (GitHub's three complaints)."""
    if path.startswith("/"):
        raise errors.unprocessable(f"{field} cannot start with a slash")
    if path.endswith("/"):
        raise errors.unprocessable(f"{field} cannot end with a slash")
    if any(part.lower() in ("", ".", "..", ".git") or "\0" in part for part in path.split("/")):
        raise errors.unprocessable(f"{field} contains a malformed path component")
    return path
