"""What every sandbox of a twin stands on, and whether each can have a user of its own there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.errors import StackError
from server.local.identity import sandbox_identity
from server.twins.e2b import mounts, namespaces
from server.twins.e2b.users import Users

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.e2b.guards import Guards
    from server.twins.e2b.namespaces import Parts
    from server.twins.e2b.supervision import Keeper, Supervisor


@dataclass(frozen=True)
class Ground:
    folder: Path
    parts: Parts
    pid_file: Path
    guards: Guards
    isolated: bool
    """Whether its sandboxes have namespaces."""


async def modules(ground: Ground, keeper: Keeper, folder: Path) -> list[int]:
    """The template's `node_modules` as the sandbox's own, where they are another's: a mount nobody else can see."""
    parts = ground.parts
    if not parts.overlay or namespaces.lower(parts, folder) == parts.modules:
        return []
    return [await _mapped(keeper, parts.modules)]


async def can_tell_apart(ground: Ground, supervisor: Supervisor) -> bool:
    """Whether each sandbox can have a user of its own: root can tell, and mounts of the template mapped to them."""
    if os.geteuid() != 0 or not ground.isolated or not ground.guards.one_user_each:
        return False
    if not ground.parts.overlay:
        return True
    keeper = await supervisor.keep(
        Users(ground.folder, ground.guards.identity(), one_each=True).take(), [], lambda: None
    )
    try:
        os.close(await _mapped(keeper, ground.parts.modules))
    except (OSError, StackError):
        return False
    finally:
        keeper.close()
    return True


async def _mapped(keeper: Keeper, folder: Path) -> int:
    reply = await keeper.request("users", known_as=sandbox_identity().uid)
    (users,) = reply["files"]
    try:
        return mounts.mapped(str(folder), users)
    finally:
        os.close(users)
