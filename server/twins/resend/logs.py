"""The log of API calls (Resend docs, "Logs"): the last thousand, without anything secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import ids
from server.twins.resend import errors, fields, times

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

KEPT = 1_000
LONGEST_TEXT = 2_000
_SECRET = ("token", "signing_secret", "content")
"""Fields whose values are not written down: what is shown once, and files."""
_LISTED = ("id", "created_at", "endpoint", "method", "response_status", "user_agent")


class Logs:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    def add(self, request: Request, asked: Any, status: int, answered: Any) -> None:
        doc: Body = {
            "id": ids.uuid(),
            "created_at": times.stamp(self._site.clock()),
            "endpoint": request.url.path,
            "method": request.method,
            "response_status": status,
            "user_agent": request.headers.get("user-agent"),
            "request_body": _told(asked) if isinstance(asked, dict) else None,
            "response_body": _told(answered) if isinstance(answered, dict) else None,
        }
        self._records.put("log", doc["id"], doc)

    async def forget(self) -> None:
        for doc in self._records.all("log")[:-KEPT]:
            self._records.delete("log", doc["id"])

    def list(self) -> list[Body]:
        return [{name: doc[name] for name in _LISTED} for doc in self._records.all("log")]

    def get(self, log_id: str) -> Body:
        doc = self._records.get("log", fields.uuid(log_id))
        if doc is None:
            raise errors.not_found("Log")
        return {"object": "log", **doc}


def _told(value: Any, name: str = "") -> Any:
    if name in _SECRET or isinstance(value, bytes):
        return "[redacted]"
    if isinstance(value, dict):
        return {key: _told(each, key) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
    if isinstance(value, list):
        return [_told(each) for each in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
