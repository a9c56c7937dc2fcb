"""Everything that keeps a sandbox in its place, in one object; a test replaces parts of it, and nothing else can."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.local.identity import sandbox_identity
from server.twins.e2b import namespaces
from server.twins.e2b.egress import Proxy
from server.twins.e2b.shares import Shares
from server.twins.e2b.walls import Walls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from server.local.identity import Identity
    from server.twins.e2b.namespaces import Parts
    from server.twins.e2b.network import Policy


@dataclass(frozen=True)
class Guards:
    arguments: Callable[[Parts, Path, str], list[str]] = namespaces.arguments
    """Bubblewrap's, which are the sandbox's view of the machine."""
    walls: Walls = field(default_factory=Walls)
    shares: Shares = field(default_factory=Shares)
    identity: Callable[[], Identity] = sandbox_identity
    """Who the supervisor becomes, and every sandbox that has no user of its own."""
    one_user_each: bool = True
    """Where the twin is root and the file system can map a mount."""
    control_groups: bool = True
    """Where we may make any."""
    proxy: Callable[[Callable[[], Policy], Mapping[str, str]], Proxy] = Proxy
    """The way out."""
    watch: bool = True
    """Over memory and disk, where nothing holds them more firmly."""
