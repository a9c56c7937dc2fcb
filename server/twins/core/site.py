"""What a twin is given: where it lives, whom it trusts, what shall go wrong, what time it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.twins.core.faults import Faults
from server.twins.core.limits import Limits
from server.twins.core.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server.secrets import Secret


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    vendor: str
    base_url: str
    data: Path
    credential: Secret
    """The operator's API key, in the vendor's own shape."""
    admin: Secret
    """Opens the `/_twin/*` routes."""
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = utc_now

    def records(self) -> Records:
        """The twin's durable records; one open file per call."""
        self.data.mkdir(parents=True, exist_ok=True)
        return Records(self.data / "records.sqlite")

    def timestamp(self) -> str:
        """Now, as vendors write it: `2026-01-31T09:30:00.000Z`."""
        return self.clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
