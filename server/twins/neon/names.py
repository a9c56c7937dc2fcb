"""Ids in Neon's shapes: `misty-harbor-40318552`, `br-misty-harbor-a1b2c3d4`, `ep-...`, and `npg_` passwords."""

from __future__ import annotations

import secrets
from hashlib import sha256

from server.secrets import Secret
from server.twins.core import ids

LONGEST = 63  # bytes in a PostgreSQL identifier
ADJECTIVES = (
    "ancient autumn billowing bitter bold broad calm cold cool crimson curly damp dawn delicate divine "
    "dry empty falling fancy flat floral fragrant frosty gentle green hidden holy icy jolly late "
    "lingering little lively long lucky misty morning muddy mute nameless noisy odd old orange patient "
    "plain polished proud purple quiet rapid raspy red restless rough round royal shiny shrill shy silent "
    "small snowy soft solitary sparkling spring square steep still summer super sweet throbbing tight "
    "tiny twilight wandering weathered white wild winter wispy withered yellow young"
)
NOUNS = (
    "art band bar base bird block boat bonus bread breeze brook bush butterfly cake cell cherry cloud "
    "credit darkness dawn dew disk dream dust feather field fire firefly flower fog forest frog frost "
    "glade glitter grass hall hat haze heart hill king lab lake leaf limit math meadow mode moon morning "
    "mountain mouse mud night paper pine poetry pond queen rain recipe resonance rice river salad scene "
    "sea shadow shape silence sky smoke snow snowflake sound star sun sunset surf term thunder tooth tree "
    "truth union unit violet voice water waterfall wave wildflower wind wood"
)


def _pair() -> str:
    return f"{secrets.choice(ADJECTIVES.split())}-{secrets.choice(NOUNS.split())}"


def project_id() -> str:
    return f"{_pair()}-{10_000_000 + secrets.randbelow(90_000_000)}"


def branch_id() -> str:
    return f"br-{_pair()}-{ids.lower(8)}"


def endpoint_id() -> str:
    return f"ep-{_pair()}-{ids.lower(8)}"


def snapshot_id() -> str:
    return f"snap-{_pair()}-{ids.lower(8)}"


def organization_id() -> str:
    return f"org-{_pair()}-{10_000_000 + secrets.randbelow(90_000_000)}"


def password() -> Secret:
    return Secret(ids.token("npg_", 24))


def in_cluster(asked: str, scope: str) -> str:
    """`asked` as it is called on the shared cluster: `scope` after it, within PostgreSQL's limit.

    Two names that only differ beyond the limit stay two.
    """
    suffix = "_" + scope.replace("-", "_")
    whole = asked + suffix
    if len(whole.encode()) <= LONGEST:
        return whole
    mark = "_" + sha256(asked.encode()).hexdigest()[:6]
    return asked.encode()[: LONGEST - len(mark + suffix)].decode(errors="ignore") + mark + suffix
