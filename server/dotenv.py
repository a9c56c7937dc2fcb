"""The one `.env` form that Node, Vite, bash and python-dotenv all read alike.

Every value is single-quoted; a value no quoting makes safe in all four is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from server.errors import LegError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.secrets import Secret

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_UNSAFE = re.compile(r"['$\\\x00-\x1f\x7f]")


def check_value(name: str, value: str) -> None:
    """Raise `LegError` when `value` cannot be written so that every reader gets it back."""
    if not _NAME.fullmatch(name):
        raise LegError(
            "A variable has a name that `.env` cannot hold.",
            code="env_name",
            next_action="Report this: names are ours to choose.",
        )
    if _UNSAFE.search(value):
        raise LegError(
            f"The value of {name} holds a quote, `$`, a backslash or a control character.",
            code="env_value",
            next_action="Rotate that credential at its vendor so that it holds none of these.",
        )


def render(values: Mapping[str, Secret | str]) -> str:
    """The text of `/app/.env`, names in the order given. Raises `LegError` for a value it must refuse."""
    lines: list[str] = []
    for name, value in values.items():
        text = value if isinstance(value, str) else value.reveal()
        check_value(name, text)
        lines.append(f"{name}='{text}'\n")
    return "".join(lines)
