"""The bodies Neon answers with, every required field of the API description included.

The cluster is shared, so on it a database and a role carry in their name what they belong to. The documents
show these names, because they are the ones that connect; the names a caller asked for are understood too.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from server.twins.neon import names

if TYPE_CHECKING:
    from server.twins.neon.bodies import EndpointOptions, ProjectCreate
    from server.twins.neon.plans import Plan
    from server.twins.neon.rows import BranchRow, DatabaseRow, Doc, RoleRow

HISTORY_SECONDS = 86_400
HOST = "localhost"
SUSPEND_SECONDS = 300


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Raises ValueError. A time without an offset is UTC."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def project(project_id: str, wanted: ProjectCreate, *, org: str, plan: Plan, major: int, now: datetime) -> Doc:
    """Its `pg_version` is the one that really runs, whatever was asked."""
    at = timestamp(now)
    given = wanted.model_dump(exclude_none=True, include={"settings"})
    retention = wanted.history_retention_seconds
    return {
        "id": project_id,
        "platform_id": "aws",
        "region_id": wanted.region_id,
        "name": wanted.name or project_id,
        "provisioner": wanted.provisioner,
        "default_endpoint_settings": default_endpoint_settings(wanted),
        "settings": given.get("settings", {}),
        "pg_version": major,
        "proxy_host": HOST,
        "branch_logical_size_limit": plan.branch_size_mib,
        "branch_logical_size_limit_bytes": plan.branch_size_mib * 2**20,
        "store_passwords": wanted.store_passwords,
        "cpu_used_sec": 0,
        "creation_source": "console",
        "history_retention_seconds": HISTORY_SECONDS if retention is None else retention,
        "created_at": at,
        "updated_at": at,
        "org_id": org,
    }


def default_endpoint_settings(wanted: ProjectCreate) -> Doc:
    given = wanted.default_endpoint_settings
    defaults: Doc = {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 0.25, "suspend_timeout_seconds": 0}
    old = wanted.model_dump(exclude_none=True, include={"autoscaling_limit_min_cu", "autoscaling_limit_max_cu"})
    return {**defaults, **old, **(given.model_dump(exclude_none=True) if given else {})}


def consumption_period(now: datetime) -> tuple[datetime, datetime]:
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return month, month + timedelta(days=calendar.monthrange(month.year, month.month)[1])


def branch(branch_id: str, project_id: str, name: str, at: str, **more: Any) -> Doc:
    return {
        "id": branch_id,
        "project_id": project_id,
        "name": name,
        "current_state": "ready",
        "state_changed_at": at,
        "creation_source": "console",
        "primary": False,
        "default": False,
        "protected": False,
        "cpu_used_sec": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "created_at": at,
        "updated_at": at,
        "init_source": "parent-data",
        **more,
    }


def endpoint(project_doc: Doc, branch_id: str, wanted: EndpointOptions, at: str) -> Doc:
    defaults = project_doc["default_endpoint_settings"]
    asked = wanted.model_dump(exclude_none=True)
    settings: Doc = asked.get("settings") or {}
    return {
        "host": HOST,
        "id": names.endpoint_id(),
        **({"name": asked["name"]} if "name" in asked else {}),
        "project_id": project_doc["id"],
        "branch_id": branch_id,
        "region_id": project_doc["region_id"],
        "autoscaling_limit_min_cu": asked.get("autoscaling_limit_min_cu", defaults["autoscaling_limit_min_cu"]),
        "autoscaling_limit_max_cu": asked.get("autoscaling_limit_max_cu", defaults["autoscaling_limit_max_cu"]),
        "type": wanted.type,
        "current_state": "init",
        "pending_state": "active",
        "settings": {"pg_settings": defaults.get("pg_settings", {}), **settings},
        "pooler_enabled": asked.get("pooler_enabled", False),
        "pooler_mode": "transaction",
        "disabled": asked.get("disabled", False),
        "passwordless_access": True,
        "creation_source": "console",
        "created_at": at,
        "updated_at": at,
        "proxy_host": HOST,
        "suspend_timeout_seconds": asked.get("suspend_timeout_seconds", defaults["suspend_timeout_seconds"]),
        "provisioner": asked.get("provisioner") or project_doc["provisioner"],
    }


def role(branch_row: BranchRow, row: RoleRow) -> Doc:
    return {
        "branch_id": branch_row["id"],
        "name": names.in_cluster(row["name"], branch_row["scope"]),
        "protected": False,
        "authentication_method": "no_login" if row["no_login"] else "password",
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def database(branch_row: BranchRow, row: DatabaseRow) -> Doc:
    return {
        "id": row["id"],
        "branch_id": branch_row["id"],
        "name": names.in_cluster(row["name"], branch_row["scope"]),
        "owner_name": names.in_cluster(row["owner"], branch_row["scope"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def connection_uri(port: int, role_name: str, password: str, database_name: str) -> str:
    """No sslmode: the local cluster speaks no TLS, and the driver's own TLS ends before it."""
    login = f"{quote(role_name, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{login}@{HOST}:{port}/{quote(database_name, safe='')}"


def connection_details(port: int, role_name: str, password: str, database_name: str) -> Doc:
    return {
        "connection_uri": connection_uri(port, role_name, password, database_name),
        "connection_parameters": {
            "database": database_name,
            "password": password,
            "role": role_name,
            "host": HOST,
            "pooler_host": HOST,
        },
    }


def listed(shown: Doc) -> Doc:
    """A project as lists show it (schema ProjectListItem), from its whole document."""
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
    doc = {name: value for name, value in shown.items() if name not in left_out}
    return {**doc, "active_time": shown["active_time_seconds"]}
