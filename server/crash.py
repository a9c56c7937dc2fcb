"""Named points of the commit path, at which a test may end the process. The product passes `nowhere`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.settings import LEGS

if TYPE_CHECKING:
    from collections.abc import Callable

    Crash = Callable[[str], None]
    """Called with the point's name; may not return."""

OF_EVERY_LEG = (
    "intended",  # the intent is saved, nothing was sent
    "looking",  # an earlier intent was found; about to look for what it left
    "found",  # what it left is adopted, not saved
    "made",  # everything is made, nothing is saved
    "recording",  # inside the transaction that saves it
    "recorded",  # saved; the step's own record is not
    "removing",
    "removed",  # gone at the vendor, not forgotten here
)
# `posting`: a create is about to be sent; `posted`: its answer has begun, unread.
OF_SOME = (
    *(f"{leg}.{point}" for leg in ("database", "mail", "git") for point in ("posting", "posted")),
    "database.created",  # the project is there, its operations are not over
    "mail.segment",  # the segment is there, its key is not
    "mail.replacing",  # about to delete a key whose token was lost
    "vm.created",
    "vm.furnished",
    "vm.lost",  # the round that replaces it is saved, its workflow not started
    "vm.restored",  # the pushed code is in it, nothing is saved
)
OF_THE_STORY = (
    "round.planned",  # the generation is saved, its workflow not started
    "round.started",
    "env.writing",
    "env.written",
    "round.finishing",
    "round.finished",
    "end.asked",  # the session's end is saved, nothing is removed
    "end.removed",  # everything is removed, the session still there
)
# Reached by a server that keeps a pool, and by one that is asked for an entry of it.
OF_THE_POOL = (
    "pool.reserved",  # the entry and its session are saved, nothing is started
    "pool.kept",  # an entry was made whole and may be claimed
    "pool.retired",  # an entry is to go, nothing of it is removed
    "pool.claiming",  # inside the transaction that hands one out
    "pool.claimed",  # handed out; nobody was told its key
)
POINTS = (*(f"{leg}.{point}" for leg in LEGS for point in OF_EVERY_LEG), *OF_SOME, *OF_THE_STORY, *OF_THE_POOL)


def nowhere(point: str) -> None:
    """The product's own: go on."""
