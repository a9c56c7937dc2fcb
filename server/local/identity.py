"""Who the local parts run as. Started by root, they run as nobody in particular, never as root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534
SANDBOX = 61184  # an id no system package hands out; apart from the database's, so neither may touch the other


@dataclass(frozen=True)
class Identity:
    """A user and group to run as, or `None`s to stay the user we are."""

    uid: int | None = None
    gid: int | None = None

    def spawn(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess` and `asyncio.create_subprocess_exec`."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` (not what is in it) to this identity."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid or self.uid, follow_symlinks=False)


def database_identity() -> Identity:
    """PostgreSQL refuses root, and its initdb needs a user with a passwd entry."""
    return Identity(NOBODY, NOBODY) if os.geteuid() == 0 else Identity()


def sandbox_identity() -> Identity:
    return Identity(SANDBOX, SANDBOX) if os.geteuid() == 0 else Identity()
