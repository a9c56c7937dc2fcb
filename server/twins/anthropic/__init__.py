"""The rehearsal: the Messages API played from the scripts of our examples, one beat per request.

Which step comes next follows from the conversation it is sent, and from nothing else. What it keeps is for a
person to read (`conversations`) and for its figures to be true (`prompt_cache`, `limits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from server.twins.anthropic.door import Door
from server.twins.anthropic.errors import handlers
from server.twins.anthropic.routes import Rehearsal
from server.twins.anthropic.script import Shelf
from server.twins.anthropic.state import Conversations
from server.twins.anthropic.view import Viewing
from server.twins.core import app

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

    from server.twins.core import Site


def build(site: Site, *, scripts: Path) -> Starlette:
    """`scripts` is the folder of examples; each may have a `rehearsal/` beside its `app/`."""
    door, shelf, conversations = Door(site), Shelf(scripts), Conversations(site)
    rehearsal = Rehearsal(site, door, shelf, conversations)
    return app(
        site,
        rehearsal.routes(),
        middleware=[Middleware(door.named)],
        exception_handlers=handlers(),
        view=Viewing(site, shelf, conversations).view,
        keep=_Keeping(rehearsal, conversations),
    )


class _Keeping:
    """The conversations; the prompt cache is forgotten, as any vendor's may be."""

    def __init__(self, rehearsal: Rehearsal, conversations: Conversations) -> None:
        self._rehearsal = rehearsal
        self._conversations = conversations

    async def save(self, folder: Path) -> None:
        self._conversations.save(folder)

    async def load(self, folder: Path) -> None:
        self._conversations.load(folder)

    async def clear(self) -> None:
        self._conversations.clear()
        self._rehearsal.forget()
