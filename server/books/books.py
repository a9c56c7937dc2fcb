"""Everything the server has written down, over one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.books.rounds import Rounds
from server.books.sessions import Sessions
from server.books.store import Events, Vault
from server.books.trajectories import Trajectories

if TYPE_CHECKING:
    import sqlalchemy as sa

    from server.secrets import Secret


@dataclass(frozen=True)
class Books:
    engine: sa.Engine
    sessions: Sessions
    rounds: Rounds
    vault: Vault
    events: Events
    trajectories: Trajectories

    @classmethod
    def over(cls, engine: sa.Engine, key: Secret) -> Books:
        """`key` seals the secrets."""
        vault = Vault(engine, key)
        return cls(engine, Sessions(engine, vault), Rounds(engine), vault, Events(engine), Trajectories(engine))
