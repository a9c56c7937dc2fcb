"""A mail as a real file: RFC 5322, readable by any mail program."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, cast

from server.twins.resend import errors
from server.twins.resend.plain import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.twins.resend.attachments import Attachment
    from server.twins.resend.fields import Body

_HEADER_NAME = re.compile(r"[!-9;-~]+")


def compose(email: Body, files: Sequence[Attachment]) -> bytes:
    """Without its date, which it gets when it leaves.

    Raises Resend's validation error when a header holds what a header may not.
    """
    message = EmailMessage(policy=SMTP)
    try:
        _write_headers(message, email)
    except ValueError:  # a line break: someone tries to add headers of their own
        raise errors.invalid("A header holds characters that are not allowed.") from None
    _write_body(message, email, [each for each in files if each.content_id])
    for each in files:
        if not each.content_id:
            main, sub = _kind(each)
            message.add_attachment(each.content, maintype=main, subtype=sub, filename=each.filename)
    return message.as_bytes()


def _kind(file: Attachment) -> tuple[str, str]:
    main, _, sub = file.content_type.partition("/")
    # A mail within a mail may not be in base64, so one that is attached goes as plain octets.
    return ("application", "octet-stream") if main in ("message", "multipart") else (main, sub)


def _write_body(message: EmailMessage, email: Body, inline: Sequence[Attachment]) -> None:
    html, text = email["html"], email["text"]
    if html is None or text == "":
        # An empty text is how a caller says that it wants none made.
        message.set_content(html or text or "", subtype="html" if html else "plain")
    else:
        message.set_content(text if text is not None else plain_text(html))
        message.add_alternative(html, subtype="html")
    body = cast("EmailMessage", message.get_body(("html", "plain")))
    for each in inline:
        main, sub = _kind(each)
        body.add_related(
            each.content,
            maintype=main,
            subtype=sub,
            cid=f"<{each.content_id}>",
            filename=each.filename,
            disposition="inline",
        )


def _write_headers(message: EmailMessage, email: Body) -> None:
    message["From"] = email["from"]
    for header, field in (("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Reply-To", "reply_to")):
        if email[field]:
            message[header] = ", ".join(email[field])
    message["Subject"] = email["subject"]
    message["Message-ID"] = email["message_id"]
    for name, value in email["headers"].items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(name)
        del message[name]
        message[name] = str(value)
