"""The bodies Neon answers with, every required field of the API description included.

A twin's project is kept as one record, `Stored`: the vendor's documents and, beside them, what only
the twin knows. The cluster is shared, so a database and a role carry their project's id in their name;
the names a caller asked for are kept too, and both are understood in paths and queries.
"""

from __future__ import annotations

import calendar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from server.twins.core import ids
from server.twins.neon import names

if TYPE_CHECKING:
    from datetime import datetime

    from server.twins.neon.requests import ProjectCreate

Doc = dict[str, Any]
OWNER = "11111111-1111-4111-8111-111111111111"
ORGANIZATION = "org-local-twin-10000001"
LOGICAL_SIZE_LIMIT_MB = 512
HISTORY_SECONDS = 86_400
HOST = "localhost"


class Stored(TypedDict):
    id: str
    position: str
    """Where it is in lists; a page's cursor. It stays comparable when the project it came from is gone."""
    status: str
    """`creating`, `ready`, or `deleted`: disabled, and to be dropped."""
    project: Doc
    branch: Doc
    endpoint: Doc
    roles: list[Doc]
    databases: list[Doc]
    operations: list[Doc]
    asked: dict[str, str]
    """Name on the cluster → name the caller asked for, of roles and databases."""
    passwords: dict[str, str]


def new_project(wanted: ProjectCreate, major: int, now: datetime) -> Stored:
    """All documents of a project; its `pg_version` is the one that really runs, whatever was asked."""
    project_id, at = names.project_id(), timestamp(now)
    branch = _branch(project_id, wanted.branch.name or "main", at)
    endpoint = _endpoint(project_id, branch["id"], wanted, at)
    asked_database = wanted.branch.database_name or "neondb"
    asked_role = wanted.branch.role_name or f"{asked_database}_owner"
    database = names.in_cluster(asked_database, project_id)
    role = names.in_cluster(asked_role, project_id)
    if role == database:
        role = names.in_cluster(f"{asked_role}_owner", project_id)
    common = {"branch_id": branch["id"], "created_at": at, "updated_at": at}
    return Stored(
        id=project_id,
        position=f"{now.isoformat(timespec='microseconds')}~{project_id}",
        status="creating",
        project=_project(project_id, wanted, major, now),
        branch=branch,
        endpoint=endpoint,
        roles=[{**common, "name": role, "protected": False, "authentication_method": "password"}],
        databases=[{**common, "id": ids.number(), "name": database, "owner_name": role}],
        operations=[
            operation(project_id, "create_timeline", at, branch["id"]),
            operation(project_id, "start_compute", at, branch["id"], endpoint["id"]),
        ],
        asked={role: asked_role, database: asked_database},
        passwords={role: names.password().reveal()},
    )


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def operation(project: str, action: str, at: str, branch: str, endpoint: str | None = None) -> Doc:
    """One that is over: nothing here goes on after its answer."""
    return {
        "id": ids.uuid(),
        "project_id": project,
        "branch_id": branch,
        **({"endpoint_id": endpoint} if endpoint else {}),
        "action": action,
        "status": "finished",
        "failures_count": 0,
        "created_at": at,
        "updated_at": at,
        "total_duration_ms": 5,
    }


def connection_uri(port: int, role: str, password: str, database: str) -> str:
    """No sslmode: the local cluster speaks no TLS, and the driver's own TLS ends before it."""
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{login}@{HOST}:{port}/{quote(database, safe='')}"


def created(stored: Stored, port: int) -> Doc:
    """The seven parts of the answer to a create (response CreatedProject)."""
    role, database = stored["roles"][0], stored["databases"][0]
    password = stored["passwords"][role["name"]]
    return {
        "project": stored["project"],
        "connection_uris": [
            {
                "connection_uri": connection_uri(port, role["name"], password, database["name"]),
                "connection_parameters": {
                    "database": database["name"],
                    "password": password,
                    "role": role["name"],
                    "host": HOST,
                    "pooler_host": HOST,
                },
            }
        ],
        "roles": [{**role, "password": password}],
        "databases": stored["databases"],
        "operations": stored["operations"],
        "branch": stored["branch"],
        "endpoints": [stored["endpoint"]],
    }


def listed(project: Doc) -> Doc:
    """A project as lists show it (schema ProjectListItem)."""
    left_out = {
        "consumption_period_start",
        "consumption_period_end",
        "active_time_seconds",
        "compute_time_seconds",
        "written_data_bytes",
        "data_transfer_bytes",
        "data_storage_bytes_hour",
        "owner",
    }
    shown = {name: value for name, value in project.items() if name not in left_out}
    return {**shown, "active_time": project["active_time_seconds"]}


def _project(project_id: str, wanted: ProjectCreate, major: int, now: datetime) -> Doc:
    at = timestamp(now)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = month + timedelta(days=calendar.monthrange(month.year, month.month)[1])
    given = wanted.model_dump(exclude_none=True, include={"settings"})
    retention = wanted.history_retention_seconds
    return {
        "id": project_id,
        "platform_id": "aws",
        "region_id": wanted.region_id,
        "name": wanted.name or project_id,
        "provisioner": wanted.provisioner,
        "default_endpoint_settings": _endpoint_settings(wanted),
        "settings": given.get("settings", {}),
        "pg_version": major,
        "proxy_host": HOST,
        "branch_logical_size_limit": LOGICAL_SIZE_LIMIT_MB,
        "branch_logical_size_limit_bytes": LOGICAL_SIZE_LIMIT_MB * 1024 * 1024,
        "store_passwords": wanted.store_passwords,
        "active_time_seconds": 0,
        "compute_time_seconds": 0,
        "cpu_used_sec": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "data_storage_bytes_hour": 0,
        "synthetic_storage_size": 0,
        "creation_source": "console",
        "history_retention_seconds": HISTORY_SECONDS if retention is None else retention,
        "created_at": at,
        "updated_at": at,
        "consumption_period_start": timestamp(month),
        "consumption_period_end": timestamp(next_month),
        "owner_id": OWNER,
        "owner": {
            "email": "owner@localhost",
            "name": "local",
            "branches_limit": 10,
            "subscription_type": "free_v3",
        },
        "org_id": wanted.org_id or ORGANIZATION,
    }


def _branch(project: str, name: str, at: str) -> Doc:
    return {
        "id": names.branch_id(),
        "project_id": project,
        "name": name,
        "current_state": "ready",
        "state_changed_at": at,
        "creation_source": "console",
        "primary": True,
        "default": True,
        "protected": False,
        "cpu_used_sec": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "created_at": at,
        "updated_at": at,
    }


def _endpoint(project: str, branch: str, wanted: ProjectCreate, at: str) -> Doc:
    settings = _endpoint_settings(wanted)
    return {
        "host": HOST,
        "id": names.endpoint_id(),
        "project_id": project,
        "branch_id": branch,
        "region_id": wanted.region_id,
        "autoscaling_limit_min_cu": settings["autoscaling_limit_min_cu"],
        "autoscaling_limit_max_cu": settings["autoscaling_limit_max_cu"],
        "type": "read_write",
        "current_state": "active",
        "settings": {"pg_settings": settings.get("pg_settings", {})},
        "pooler_enabled": False,
        "pooler_mode": "transaction",
        "disabled": False,
        "passwordless_access": True,
        "creation_source": "console",
        "created_at": at,
        "updated_at": at,
        "proxy_host": HOST,
        "suspend_timeout_seconds": settings["suspend_timeout_seconds"],
        "provisioner": wanted.provisioner,
    }


def _endpoint_settings(wanted: ProjectCreate) -> Doc:
    given = wanted.default_endpoint_settings
    defaults = {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 0.25, "suspend_timeout_seconds": 0}
    return {**defaults, **(given.model_dump(exclude_none=True) if given else {})}
