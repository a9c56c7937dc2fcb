"""The sandboxes on record: what there is, and whose token opens what."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING

from server.twins.e2b.errors import NoSandbox, missing
from server.twins.e2b.logs import Log
from server.twins.e2b.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.core import Records, Site


class Register:
    def __init__(self, site: Site, records: Records) -> None:
        self.site = site
        self.records = records
        self._logs: dict[str, Log] = {}

    def get(self, sandbox_id: str) -> Record:
        """Raises 404."""
        doc = self.records.get("sandbox", sandbox_id)
        if doc is None:
            raise missing(sandbox_id)
        return Record.of(doc)

    def all(self) -> list[Record]:
        return [Record.of(doc) for doc in self.records.all("sandbox")]

    def running(self) -> int:
        """How many count against the team's limit."""
        return sum(record.state in ("making", "running") for record in self.all())

    def token(self, sandbox_id: str) -> str:
        """Its envd's token; empty for one that asked for none. Raises `NoSandbox`."""
        doc = self.records.get("sandbox", sandbox_id)
        if doc is None:
            raise NoSandbox(sandbox_id)
        return doc["token"]

    def opens(self, sandbox_id: str, token: str) -> bool:
        """Whether the token is this sandbox's own. Raises `NoSandbox`."""
        secret = self.token(sandbox_id)
        return not secret or compare_digest(secret.encode(), token.encode())

    def whose(self, signed: Callable[[str], bool]) -> str:
        """The sandbox with whose token something is signed; empty where there is none."""
        return next((record.id for record in self.all() if record.token and signed(record.token)), "")

    def is_running(self, sandbox_id: str) -> bool:
        doc = self.records.get("sandbox", sandbox_id)
        return doc is not None and doc["state"] == "running"

    def log(self, sandbox_id: str) -> Log:
        return self._logs.setdefault(sandbox_id, Log())

    def forget(self, sandbox_id: str) -> None:
        self.records.delete("sandbox", sandbox_id)
        self._logs.pop(sandbox_id, None)

    def save(self, record: Record) -> None:
        self.records.put("sandbox", record.id, asdict(record))

    def expired(self, record: Record) -> bool:
        return record.state == "running" and datetime.fromisoformat(record.end) <= self.site.clock()

    def after(self, seconds: int) -> str:
        """The time so many seconds from now, as a record has it."""
        return (self.site.clock() + timedelta(seconds=seconds)).isoformat()
