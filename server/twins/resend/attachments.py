"""Files that travel with a mail: how a request gives them, how the composed mail holds them, what the API tells."""

from __future__ import annotations

import binascii
import mimetypes
from base64 import b64decode
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from server.twins.core import ids
from server.twins.resend import errors, fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from email.message import EmailMessage

    from server.twins.resend.fields import Body

    Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class Attachment:
    """Inline where the HTML can point at it: `<img src="cid:...">`."""

    id: str
    filename: str
    content_type: str
    content_id: str | None
    content: bytes

    @property
    def shown(self) -> Body:
        return {
            "id": self.id,
            "filename": self.filename,
            "content_type": self.content_type,
            **({"content_id": self.content_id} if self.content_id else {}),
            "content_disposition": "inline" if self.content_id else "attachment",
            "size": len(self.content),
        }


async def gather(found: list[Any], fetch: Fetch) -> list[Attachment]:
    """The files of one request, those given by `path` fetched."""
    return [await _attachment(each, fetch) for each in found]


async def _attachment(each: Any, fetch: Fetch) -> Attachment:
    given = fields.as_object(each, "attachments")
    content, path = given.get("content"), fields.text(given, "path")
    if content is None and not path:
        raise errors.invalid_attachment("Attachment must have either a `content` or `path`.")
    # An SDK may send `false` for a name that is not known.
    name = fields.text({**given, "filename": given.get("filename") or None}, "filename")
    filename = name or urlsplit(path).path.rpartition("/")[2] or "attachment"
    kind = fields.text(given, "content_type") or mimetypes.guess_type(filename)[0] or "application/octet-stream"
    if kind.count("/") != 1:
        raise errors.invalid_attachment("The attachment's `content_type` is not a valid MIME type.")
    octets = _bytes(content) if content is not None else await fetch(path)
    return Attachment(ids.uuid(), filename, kind, fields.text(given, "content_id") or None, octets)


def _bytes(content: Any) -> bytes:
    """Base64 text, a list of octets, or the `{"type": "Buffer", "data": [...]}` a Node buffer turns into."""
    try:
        if isinstance(content, dict):
            content = cast("Body", content)["data"]
        return b64decode(content, validate=True) if isinstance(content, str) else bytes(cast("list[int]", content))
    except (binascii.Error, KeyError, TypeError, ValueError):
        raise errors.invalid_attachment("The attachment's `content` is not valid base64.") from None


@dataclass(frozen=True)
class Part:
    """A file as a mail holds it."""

    filename: str | None
    content_type: str
    content_id: str | None
    content_disposition: str | None
    content: bytes


def parts(octets: bytes) -> list[Part]:
    """The files in a mail, in its order."""
    return [_part(part) for part in _files(message_from_bytes(octets, policy=default))]


def _files(message: EmailMessage) -> Iterator[EmailMessage]:
    if message.get_content_disposition() or (message["Content-ID"] and not message.is_multipart()):
        yield message
    elif message.get_content_maintype() == "multipart":
        for part in message.iter_parts():
            yield from _files(cast("EmailMessage", part))


def _part(part: EmailMessage) -> Part:
    content_id = str(part["Content-ID"] or "").strip().strip("<>") or None
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes):  # a whole mail within this one
        octets = b"".join(each.as_bytes() for each in cast("list[EmailMessage]", part.get_payload()))
    return Part(part.get_filename(), part.get_content_type(), content_id, part.get_content_disposition(), octets)
