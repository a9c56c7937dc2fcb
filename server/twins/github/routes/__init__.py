"""GitHub's routes, one module for each of its resources (wire in, wire out), and what stands beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.github import operator
from server.twins.github.routes import (
    accounts,
    apps,
    archives,
    blobs,
    branches,
    collaborators,
    commits,
    contents,
    creation,
    deploy_keys,
    files,
    git_commits,
    installations,
    meta,
    pages,
    refs,
    repositories,
    trees,
)
from server.twins.github.transport import git_routes

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.github.door import Door
    from server.twins.github.state import Hub

_RESOURCES = (
    meta,
    apps,
    installations,
    accounts,
    creation,
    repositories,
    branches,
    commits,
    contents,
    files,
    archives,
    blobs,
    trees,
    git_commits,
    refs,
    collaborators,
    deploy_keys,
)


def all_routes(hub: Hub, door: Door) -> list[BaseRoute]:
    return [
        *operator.routes(hub),
        *(route for resource in _RESOURCES for route in resource.routes(door)),
        *git_routes(hub),
        *archives.downloads(hub),
        *pages.routes(door),
    ]
