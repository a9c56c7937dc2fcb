"""What the rules of every area stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.core import Site
    from server.twins.neon.accounts import Accounts
    from server.twins.neon.activity import Activity
    from server.twins.neon.cluster import Cluster
    from server.twins.neon.computes import Computes
    from server.twins.neon.copies import Copies
    from server.twins.neon.logins import Logins
    from server.twins.neon.metering import Meter
    from server.twins.neon.operations import Operations
    from server.twins.neon.tables import Tables
    from server.twins.neon.trash import Trash


@dataclass(frozen=True)
class Parts:
    site: Site
    tables: Tables
    cluster: Cluster
    accounts: Accounts
    operations: Operations
    logins: Logins
    meter: Meter
    computes: Computes
    activity: Activity
    copies: Copies
    trash: Trash
