"""Who the local parts run as. Started by root, they run as nobody in particular, never as root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534
SANDBOX = 61184  # an id no system package hands out; apart from the database's, so neither may touch the other
SESSIONS = range(0x70000000, 0x80000000)
"""Ids for users that exist only while a sandbox does: above what systemd gives to containers (its document "Users,
Groups, UIDs and GIDs on systemd Systems") and below 2^31, which some programs cannot count past."""

SESSIONS_OF_A_HOME = 1 << 14


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
    """Whose the template is, and the supervisor."""
    return Identity(SANDBOX, SANDBOX) if os.geteuid() == 0 else Identity()


def session_users(home: Path) -> range:
    """The users the sandboxes of this home may have, one each. Two homes share some once in 16,000."""
    block = int.from_bytes(sha256(os.fsencode(home)).digest()[:8], "big") % (len(SESSIONS) // SESSIONS_OF_A_HOME)
    start = SESSIONS.start + block * SESSIONS_OF_A_HOME
    return range(start, start + SESSIONS_OF_A_HOME)
