"""A mail as a real file: RFC 5322, readable by any mail program."""

from __future__ import annotations

import binascii
import mimetypes
from base64 import b64decode
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from server.twins.resend import errors

if TYPE_CHECKING:
    from datetime import datetime

    from server.twins.resend.fields import Body


def compose(email: Body, now: datetime) -> bytes:
    """Raises Resend's validation error when a header holds what a header may not."""
    message = EmailMessage(policy=SMTP)
    try:
        _write_headers(message, email, now)
    except ValueError:  # a line break: someone tries to add headers of their own
        raise errors.invalid("A header holds characters that are not allowed.") from None
    if email["html"] and not email["text"]:
        message.set_content(email["html"], subtype="html")
    else:
        message.set_content(email["text"] or "")
        if email["html"]:
            message.add_alternative(email["html"], subtype="html")
    for attachment in email["attachments"]:
        kind = attachment["content_type"] or mimetypes.guess_type(attachment["filename"])[0]
        main, _, sub = (kind or "application/octet-stream").partition("/")
        content = _bytes(attachment["content"])
        message.add_attachment(content, maintype=main, subtype=sub or "octet-stream", filename=attachment["filename"])
    return message.as_bytes()


def _write_headers(message: EmailMessage, email: Body, now: datetime) -> None:
    message["From"] = email["from"]
    for header, field in (("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Reply-To", "reply_to")):
        if email[field]:
            message[header] = ", ".join(email[field])
    message["Subject"] = email["subject"]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = email["message_id"]
    for name, value in email["headers"].items():
        del message[name]
        message[name] = str(value)


def _bytes(content: Any) -> bytes:
    """Base64 text, or the `{"type": "Buffer", "data": [...]}` a Node buffer turns into."""
    try:
        if isinstance(content, dict):
            content = content["data"]  # pyright: ignore[reportUnknownVariableType] - JSON
        return b64decode(content, validate=True) if isinstance(content, str) else bytes(content)  # pyright: ignore[reportUnknownArgumentType]
    except (binascii.Error, KeyError, TypeError, ValueError):
        raise errors.invalid_attachment("The attachment's `content` is not valid base64.") from None
