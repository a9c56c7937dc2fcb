"""What the Neon API v2 takes, by schema; unknown fields are ignored, as Neon ignores them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictInt

LONGEST_IDENTIFIER = 63


def _identifier(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character is not possible in a name")
    if len(text.encode()) > LONGEST_IDENTIFIER:
        raise ValueError(f"a name cannot exceed {LONGEST_IDENTIFIER} bytes")
    return text


Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Identifier = Annotated[str, Field(min_length=1), AfterValidator(_identifier)]
HistorySeconds = Annotated[StrictInt, Field(ge=0, le=2_592_000)]
ComputeUnits = Annotated[float, Field(ge=0.25)]
SuspendSeconds = Annotated[StrictInt, Field(ge=-1, le=604_800)]
Amount = Annotated[StrictInt, Field(ge=0)]
Provisioner = Literal["k8s-pod", "k8s-neonvm", "serverless-platform"]
Annotations = Annotated[dict[str, str], Field(max_length=50)]


class EndpointSettings(BaseModel):
    pg_settings: dict[str, str] | None = None


class DefaultEndpointSettings(EndpointSettings):
    autoscaling_limit_min_cu: ComputeUnits | None = None
    autoscaling_limit_max_cu: ComputeUnits | None = None
    suspend_timeout_seconds: SuspendSeconds | None = None


class Quota(BaseModel):
    active_time_seconds: Amount | None = None
    compute_time_seconds: Amount | None = None
    written_data_bytes: Amount | None = None
    data_transfer_bytes: Amount | None = None
    logical_size_bytes: Amount | None = None


class Settings(BaseModel, extra="allow"):
    quota: Quota | None = None


class FirstBranch(BaseModel):
    name: Name | None = None
    role_name: Identifier | None = None
    database_name: Identifier | None = None
    annotations: Annotations | None = None


class ProjectUpdate(BaseModel):
    name: Name | None = None
    settings: Settings | None = None
    default_endpoint_settings: DefaultEndpointSettings | None = None
    history_retention_seconds: HistorySeconds | None = None


class ProjectCreate(ProjectUpdate):
    pg_version: Annotated[StrictInt, Field(ge=14, le=18)] = 17
    region_id: str = "aws-us-east-2"
    org_id: Id | None = None
    store_passwords: StrictBool = True
    provisioner: Provisioner = "k8s-neonvm"
    branch: FirstBranch = FirstBranch()
    autoscaling_limit_min_cu: ComputeUnits | None = None
    autoscaling_limit_max_cu: ComputeUnits | None = None


class EndpointOptions(BaseModel):
    type: Literal["read_write", "read_only"]
    settings: EndpointSettings | None = None
    autoscaling_limit_min_cu: ComputeUnits | None = None
    autoscaling_limit_max_cu: ComputeUnits | None = None
    provisioner: Provisioner | None = None
    suspend_timeout_seconds: SuspendSeconds | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    pooler_enabled: StrictBool | None = None
    disabled: StrictBool | None = None


class EndpointCreate(EndpointOptions):
    branch_id: Id
    region_id: str | None = None


class EndpointUpdate(BaseModel):
    settings: EndpointSettings | None = None
    autoscaling_limit_min_cu: ComputeUnits | None = None
    autoscaling_limit_max_cu: ComputeUnits | None = None
    provisioner: Provisioner | None = None
    suspend_timeout_seconds: SuspendSeconds | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    pooler_enabled: StrictBool | None = None
    disabled: StrictBool | None = None
    branch_id: Id | None = None


class BranchCreate(BaseModel):
    parent_id: Id | Literal[""] | None = None
    name: Name | None = None
    parent_lsn: str | None = None
    parent_timestamp: datetime | None = None
    protected: StrictBool = False
    init_source: Literal["parent-data", "schema-only"] = "parent-data"
    expires_at: datetime | None = None


class BranchUpdate(BaseModel):
    name: Name | None = None
    protected: StrictBool | None = None
    expires_at: datetime | None = None


class RoleCreate(BaseModel):
    name: Identifier
    no_login: StrictBool = False


class DatabaseCreate(BaseModel):
    name: Identifier
    owner_name: Identifier


class DatabaseUpdate(BaseModel):
    name: Identifier | None = None
    owner_name: Identifier | None = None


class SnapshotUpdate(BaseModel):
    name: Name | None = None


class CreateProjectBody(BaseModel):
    project: ProjectCreate


class UpdateProjectBody(BaseModel):
    project: ProjectUpdate


class CreateBranchBody(BaseModel):
    branch: BranchCreate = BranchCreate()
    endpoints: list[EndpointOptions] = []
    annotation_value: Annotations = {}


class UpdateBranchBody(BaseModel):
    branch: BranchUpdate


class RestoreBranchBody(BaseModel):
    source_branch_id: Id
    source_lsn: str | None = None
    source_timestamp: datetime | None = None
    preserve_under_name: Annotated[str, Field(max_length=256)] | None = None


class FinalizeRestoreBody(BaseModel):
    name: Name | None = None


class RestoreSnapshotBody(BaseModel):
    name: Name | None = None
    target_branch_id: Id | None = None
    finalize_restore: StrictBool = False


class UpdateSnapshotBody(BaseModel):
    snapshot: SnapshotUpdate


class CreateEndpointBody(BaseModel):
    endpoint: EndpointCreate


class UpdateEndpointBody(BaseModel):
    endpoint: EndpointUpdate


class CreateRoleBody(BaseModel):
    role: RoleCreate


class CreateDatabaseBody(BaseModel):
    database: DatabaseCreate


class UpdateDatabaseBody(BaseModel):
    database: DatabaseUpdate


class CreateTransferBody(BaseModel):
    ttl_seconds: Annotated[StrictInt, Field(ge=1)] = 86_400


class AcceptTransferBody(BaseModel):
    org_id: Id | None = None


class MoveProjectsBody(BaseModel):
    destination_org_id: Id
    project_ids: Annotated[list[Id], Field(min_length=1, max_length=400)]


class CreateKeyBody(BaseModel):
    key_name: Annotated[str, Field(min_length=1, max_length=64)]
    project_id: Id | None = None
