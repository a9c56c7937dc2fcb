"""The control API's routes, each behind a key; envd's, which a sandbox's token opens, are in `envd` and `files`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.e2b import unavailable
from server.twins.e2b.build_routes import Builds
from server.twins.e2b.control import Control
from server.twins.e2b.observing import Observing
from server.twins.e2b.snapshots import Snapshots
from server.twins.e2b.template_routes import Templates

if TYPE_CHECKING:
    from starlette.routing import Route

    from server.twins.e2b.builds import Builder
    from server.twins.e2b.guard import Guard
    from server.twins.e2b.metrics import Metrics
    from server.twins.e2b.state import Sandboxes
    from server.twins.e2b.uploads import Uploads


def control_routes(
    guard: Guard, sandboxes: Sandboxes, metrics: Metrics, builder: Builder, uploads: Uploads
) -> list[Route]:
    # Below which a browser resolves the names of previews.
    domain = sandboxes.site.base_url.split("://", 1)[-1].replace("127.0.0.1", "localhost")
    table = [
        *Observing(sandboxes, metrics).table(),
        *Control(sandboxes, domain).table(),
        *Snapshots(sandboxes, domain).table(),
        *Builds(sandboxes.catalog, builder, uploads).table(),
        *Templates(sandboxes.catalog, builder).table(),
        *unavailable.table(),
    ]
    return [*guard.routes(table), *uploads.routes()]
