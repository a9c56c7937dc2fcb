"""The rules of every area, over one set of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.neon.branch_changes import BranchChanges
from server.twins.neon.branches import Branches
from server.twins.neon.endpoints import Endpoints
from server.twins.neon.projects import Projects
from server.twins.neon.restores import Restores
from server.twins.neon.roles import Roles
from server.twins.neon.shown import Shown
from server.twins.neon.snapshots import Snapshots
from server.twins.neon.transfers import Transfers

if TYPE_CHECKING:
    from server.twins.neon.parts import Parts


@dataclass(frozen=True)
class Rules:
    parts: Parts
    branches: Branches
    branch_changes: BranchChanges
    endpoints: Endpoints
    projects: Projects
    restores: Restores
    roles: Roles
    shown: Shown
    snapshots: Snapshots
    transfers: Transfers


def rules_over(parts: Parts) -> Rules:
    endpoints = Endpoints(parts)
    branches = Branches(parts, endpoints)
    projects = Projects(parts, branches, endpoints)
    restores = Restores(parts, branches, endpoints)
    return Rules(
        parts=parts,
        branches=branches,
        branch_changes=BranchChanges(parts, branches),
        endpoints=endpoints,
        projects=projects,
        restores=restores,
        roles=Roles(parts, branches),
        shown=Shown(parts, branches),
        snapshots=Snapshots(parts, branches, endpoints, restores),
        transfers=Transfers(parts, projects),
    )
