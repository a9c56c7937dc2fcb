"""Structured log lines on stderr, scrubbed after formatting so that tracebacks are clean too."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

from server.secrets import scrub

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.secrets import Secret

_SHAPES = re.compile(
    r"(?P<dsn>postgres(?:ql)?://[^:\s/@]+:)[^@\s]+(?=@)"
    r"|(?P<bearer>(?:Bearer|Basic) )[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:npg|napi|re|ghp|ghs|github_pat|phx|e2b|sk-ant|mk0rk|mk0rc|mk0rj)[_-][A-Za-z0-9_.-]{8,}"
)


def redact(text: str) -> str:
    """`text` without anything shaped like a credential of ours or a vendor's."""
    return _SHAPES.sub(lambda m: (m["dsn"] or m["bearer"] or "") + "***", text)


class ScrubbedFormatter(logging.Formatter):
    """Formats first and scrubs what came out, exception text included."""

    def __init__(self, issued: Callable[[], list[Secret]]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._issued = issued

    def format(self, record: logging.LogRecord) -> str:
        return redact(scrub(super().format(record), self._issued()))


def set_up(issued: Callable[[], list[Secret]], level: int = logging.INFO) -> None:
    """Send every logger to stderr through the scrubber. Call it before building an `MCPServer`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ScrubbedFormatter(issued))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpx2", "httpcore", "e2b", "mcp", "dbos", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def provisioning(slug: str, event: str, **facts: Any) -> None:
    """One `[provisioning]` line: what happened to which session, then `name=value` facts."""
    told = " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
    logging.getLogger("mk0r").info("[provisioning] slug=%s %s %s", slug, event, told)
