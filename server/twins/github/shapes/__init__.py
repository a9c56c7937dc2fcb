"""GitHub's wire forms (REST description), every link under the address the caller used."""

from __future__ import annotations

from server.twins.github.shapes.apps import AppShapes
from server.twins.github.shapes.collaboration import CollaborationShapes
from server.twins.github.shapes.commits import CommitShapes
from server.twins.github.shapes.objects import ObjectShapes

__all__ = ["Shapes"]


class Shapes(AppShapes, CollaborationShapes, CommitShapes, ObjectShapes):
    """All of them, for one caller's address and API version."""
