"""What the model is told before it is told the idea. The same bytes in every session, so that they cache."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def system(skill: str) -> list[dict[str, Any]]:
    """The system prompt and the skill, with a cache mark at their end: all sessions share this prefix."""
    house = (files(__package__ or "agent_loop.prompts") / "system.md").read_text(encoding="utf-8")
    return [
        {"type": "text", "text": house},
        {"type": "text", "text": f"<skill>\n{skill}\n</skill>", "cache_control": {"type": "ephemeral"}},
    ]
