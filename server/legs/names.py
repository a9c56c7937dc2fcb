"""Names: ours at the vendors, and the vendors' ids on their way into a path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

APP_ID = re.compile(r"mk0r-[a-z2-7]{12}")

VendorId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]
"""An id that can be put into a path and stays one segment of it, whatever the vendor answered."""


def _moment(value: object) -> datetime:
    told = datetime.fromisoformat(str(value))
    return told if told.tzinfo else told.replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A time as vendors write it: ISO 8601, or PostgreSQL's way with a blank and a short zone."""


def is_ours(name: str) -> bool:
    """Whether the name has the form of a session's. That it is a session of ours, only its record proves."""
    return APP_ID.fullmatch(name) is not None
