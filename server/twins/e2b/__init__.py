"""The E2B twin: sandboxes on this machine, for the unmodified E2B SDK.

app, setup        put it together
control, snapshots, observing, template_routes, build_routes, unavailable: the API's routes, behind guard and limits
front, envd, files, upload, filesystem, watch, process, process_service: envd, as the SDK speaks to it
preview, ingress, forward: the apps' ports by host name
register, running, state, life, idempotency: sandboxes on record, up, at the API's word, and as time goes by
templates, builds, steps, uploads, images: what sandboxes begin as
metrics, logs, view, keep: what is seen of them, and their state as a whole
machine and what it stands on: one sandbox that is up, its ways to the host and out, and its isolation
inside: what is done in a sandbox with its own rights
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.applications import Starlette

    from server.local.home import Home
    from server.twins.core import Site
    from server.twins.e2b.guards import Guards
    from server.twins.e2b.tier import Tier


def build(
    site: Site,
    *,
    home: Home,
    node: Path,
    services: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
    registry: str | None = None,
    tier: Tier | None = None,
    environ: Mapping[str, str] | None = None,
    guards: Guards | None = None,
) -> Starlette:
    """The twin. `node`: the root of a Node installation, used where `home.stack` has no copy of its own.

    `services`: what a sandbox reaches on its own loopback, name to port, the same port there as here; `neon` answers
    TLS on 443. `environment`: set for every process in a sandbox. `registry`: the npm registry sandboxes may reach;
    unset, the one `npm config get registry` names. `tier`: the isolation; unset, what a probe finds. `environ`: the
    host's environment. `guards`: what keeps sandboxes in their place, for tests of each; unset, all of it. Raises
    `StackError` when only weak isolation can be had and nobody agreed to it (`MK0R_WEAK_SANDBOX=1`).
    """
    # Imported here, for the supervisor is of this package too and must stay small: it forks for every command.
    from server.twins.e2b.app import assemble

    return assemble(
        site,
        home=home,
        node=node,
        services=services or {},
        environment=environment or {},
        registry=registry,
        tier=tier,
        environ=environ,
        guards=guards,
    )
