"""What the Neon API v2 takes (schemas ProjectCreateRequest, ProjectUpdateRequest); unknown fields are ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from server.twins.neon.errors import api_error

if TYPE_CHECKING:
    from starlette.requests import Request

Name = Annotated[str, Field(min_length=1, max_length=256)]
Identifier = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00]+$")]
HistorySeconds = Annotated[int, Field(ge=0, le=2_592_000)]
OrgId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
ComputeUnits = Annotated[float, Field(ge=0.25)]

REGIONS = (
    ("aws-us-east-1", "AWS US East 1 (N. Virginia)", "38.13", "-78.45"),
    ("aws-us-east-2", "AWS US East 2 (Ohio)", "39.96", "-83.00"),
    ("aws-us-west-2", "AWS US West 2 (Oregon)", "46.15", "-123.88"),
    ("aws-eu-central-1", "AWS Europe Central 1 (Frankfurt)", "50.11", "8.68"),
    ("aws-eu-west-2", "AWS Europe West 2 (London)", "51.51", "-0.13"),
    ("aws-ap-southeast-1", "AWS Asia Pacific 1 (Singapore)", "1.37", "103.80"),
    ("aws-ap-southeast-2", "AWS Asia Pacific 2 (Sydney)", "-33.87", "151.21"),
    ("aws-sa-east-1", "AWS South America 1 (Sao Paulo)", "-23.55", "-46.63"),
)
DEFAULT_REGION = "aws-us-east-2"


class EndpointSettings(BaseModel):
    autoscaling_limit_min_cu: ComputeUnits | None = None
    autoscaling_limit_max_cu: ComputeUnits | None = None
    suspend_timeout_seconds: Annotated[int, Field(ge=-1, le=604_800)] | None = None
    pg_settings: dict[str, str] | None = None


class Quota(BaseModel):
    active_time_seconds: Annotated[int, Field(ge=0)] | None = None
    compute_time_seconds: Annotated[int, Field(ge=0)] | None = None
    written_data_bytes: Annotated[int, Field(ge=0)] | None = None
    data_transfer_bytes: Annotated[int, Field(ge=0)] | None = None
    logical_size_bytes: Annotated[int, Field(ge=0)] | None = None


class Settings(BaseModel, extra="allow"):
    quota: Quota | None = None


class Branch(BaseModel):
    name: Name | None = None
    role_name: Identifier | None = None
    database_name: Identifier | None = None


class ProjectUpdate(BaseModel):
    name: Name | None = None
    settings: Settings | None = None
    default_endpoint_settings: EndpointSettings | None = None
    history_retention_seconds: HistorySeconds | None = None


class ProjectCreate(ProjectUpdate):
    pg_version: Annotated[int, Field(ge=14, le=18)] = 17
    region_id: str = DEFAULT_REGION
    org_id: OrgId | None = None
    store_passwords: bool = True
    provisioner: str = "k8s-neonvm"
    branch: Branch = Branch()


class CreateBody(BaseModel):
    project: ProjectCreate


class UpdateBody(BaseModel):
    project: ProjectUpdate


Body = TypeVar("Body", CreateBody, UpdateBody)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """A request's JSON body. Raises the vendor's 400 and 422."""
    try:
        body = kind.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise api_error(400, "request body is not valid JSON") from None
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise api_error(422, f"{field}: {first['msg']}") from None
    if isinstance(body, CreateBody) and body.project.region_id not in {region[0] for region in REGIONS}:
        raise api_error(422, f"region_id: {body.project.region_id!r} is not an active region")
    return body


def read_limit(request: Request, *, default: int, most: int) -> int:
    text = request.query_params.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise api_error(422, f"limit: must be between 1 and {most}")
    return int(text)
