"""A user of its own for every sandbox, where the twin is root: what it owns, runs and uses up is then its alone.

Which one is written nowhere but on the sandbox's folder, whose owner it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from server.errors import StackError
from server.local.identity import Identity, session_users

if TYPE_CHECKING:
    from pathlib import Path


class Users:
    """The users of the sandboxes in `folder`: one for each, or `shared` for all."""

    def __init__(self, folder: Path, shared: Identity, *, one_each: bool) -> None:
        self._folder = folder
        self._shared = shared
        self._range = session_users(folder) if one_each else None
        self._taken: set[int] = set()
        self._next = 0

    def look(self) -> None:
        """Learn from the folders that are there which users are taken."""
        self._taken = {entry.stat(follow_symlinks=False).st_uid for entry in os.scandir(self._folder)}

    def take(self) -> Identity:
        """A free one. The one just given back is not the next to be taken, for something of it may linger."""
        if self._range is None:
            return self._shared
        for _ in self._range:
            uid = self._range[self._next % len(self._range)]
            self._next += 1
            if uid not in self._taken:
                self._taken.add(uid)
                return Identity(uid, uid)
        raise StackError(f"There are {len(self._range)} sandboxes already.", next_action="Destroy some sessions.")

    def give_back(self, identity: Identity) -> None:
        self._taken.discard(identity.uid or 0)

    def of(self, folder: Path) -> Identity:
        """The user of the sandbox whose folder this is."""
        if os.geteuid() != 0:
            return Identity()
        owner = folder.lstat()
        return Identity(owner.st_uid, owner.st_gid)
