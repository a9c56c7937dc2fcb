"""The ideas to begin with: those of the examples that lie beside the code, read anew each time."""

from __future__ import annotations

import tomllib
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def ideas(folder: Path = EXAMPLES) -> list[dict[str, str]]:
    """Each with its `title`, and with the title it comes `after` where it is a next step of another."""
    found: list[dict[str, str]] = []
    for file in sorted(folder.glob("*/rehearsal/*.toml")):
        told = tomllib.loads(file.read_text(encoding="utf-8"))
        found.append({name: str(told.get(name, "")) for name in ("title", "idea", "after")})
    return found
