"""What the control API answers of sandboxes; shapes as E2B's specification has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.e2b.record import DISK_MB

if TYPE_CHECKING:
    from server.twins.e2b.record import Record

ENVD_VERSION = "0.6.13"
"""Of the envd this twin speaks like."""


def brief(record: Record, domain: str) -> dict[str, Any]:
    """`Sandbox`: what who made it, or connected to it, needs."""
    return {
        "templateID": record.template,
        "sandboxID": record.id,
        "clientID": "local",
        "envdVersion": ENVD_VERSION,
        **({"envdAccessToken": record.token} if record.token else {}),
        "trafficAccessToken": record.traffic_token or None,
        "domain": domain,
        **_alias(record),
    }


def listed(record: Record) -> dict[str, Any]:
    """`ListedSandbox`."""
    return {
        "templateID": record.template,
        **_alias(record),
        "sandboxID": record.id,
        "clientID": "local",
        "startedAt": record.started,
        "endAt": record.end,
        "cpuCount": record.cpus,
        "memoryMB": record.memory_mb,
        "diskSizeMB": DISK_MB,
        "state": record.state,
        "envdVersion": ENVD_VERSION,
        "metadata": record.metadata,
    }


def detail(record: Record, domain: str) -> dict[str, Any]:
    """`SandboxDetail`."""
    return {
        **listed(record),
        **({"envdAccessToken": record.token} if record.token else {}),
        "domain": domain,
        "allowInternetAccess": record.internet,
        "network": {**record.network, "allowPublicTraffic": record.public},
        "lifecycle": {"autoResume": record.auto_resume, "onTimeout": record.on_timeout},
        **({"pauseMode": record.pause_mode} if record.state == "paused" and record.pause_mode else {}),
    }


def _alias(record: Record) -> dict[str, str]:
    return {"alias": record.alias} if record.alias else {}
