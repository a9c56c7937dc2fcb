"""What every tool is told by: its hints, and errors in our own words."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from server.errors import Mk0rError


def hints(
    *, read_only: bool = False, destructive: bool = False, idempotent: bool = False, open_world: bool = False
) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=idempotent or read_only,
        open_world_hint=open_world,
    )


def in_our_words(tool: Any) -> Any:
    """A caller reads what happened and what to do next; anything unforeseen stays in the server's log."""

    @wraps(tool)
    async def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return await tool(*args, **kwargs)
        except Mk0rError as error:
            raise ToolError(str(error)) from None

    told.__doc__ = inspect.cleandoc(tool.__doc__)
    return told
