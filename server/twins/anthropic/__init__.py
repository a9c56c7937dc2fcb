"""The rehearsal: the Messages API played from the scripts of our examples, one beat per request.

It keeps nothing between two requests: which step comes next follows from the conversation it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.anthropic.errors import handlers
from server.twins.anthropic.routes import Rehearsal
from server.twins.core import app

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

    from server.twins.core import Site


def build(site: Site, *, scripts: Path) -> Starlette:
    """`scripts` is the folder of examples; each may have a `rehearsal/` beside its `app/`."""
    return app(site, Rehearsal(site, scripts).routes(), exception_handlers=handlers())
