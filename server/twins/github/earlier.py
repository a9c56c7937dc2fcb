"""What an earlier version of the twin left behind, brought to where and how it is now."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from server.local.identity import Identity
    from server.twins.core import Records
    from server.twins.github.accounts import Accounts


def move_repositories(before: Path, now: Path, identity: Identity) -> None:
    """From beside the records, where only their owner could go, to where git's own identity can."""
    if before != now and before.exists() and not now.exists():
        now.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(before, now)
        own_all(identity, now)


def own_all(identity: Identity, folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        identity.own(path)


def complete_repositories(records: Records, accounts: Accounts) -> None:
    """A repository once knew its owner by name, and nothing of its topics, language, size and template."""
    for doc in records.all("repository"):
        if "owner" in doc:
            owner = accounts.get(doc.pop("owner"))
            new: dict[str, Any] = {
                "topics": [],
                "language": None,
                "size": 0,
                "template": None,
                **doc,
                "owner_id": owner["id"],
            }
            records.put("repository", str(doc["id"]), new)
