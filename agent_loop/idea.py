"""What may be asked: the one rule for an idea, wherever it comes in."""

from __future__ import annotations

from server.errors import BadInput

MAX_CHARACTERS = 10_000


def checked(text: object) -> str:
    """The idea, trimmed. Raises `BadInput` for one that says nothing or far too much."""
    # What no database or commit message can hold is no part of an idea: half of a surrogate pair, and NUL.
    idea = text.encode(errors="replace").decode().replace("\0", " ").strip() if isinstance(text, str) else ""
    if not idea:
        raise BadInput(
            "The idea is empty.",
            next_action='Say in a sentence what the app should do: mk0r build "a run tracker that saves my runs".',
        )
    if len(idea) > MAX_CHARACTERS:
        raise BadInput(
            f"The idea has {len(idea):,} characters; at most {MAX_CHARACTERS:,} are read.",
            next_action="Say the heart of it first, and add the rest as further turns.",
        )
    return idea
