"""What the control API takes; names as E2B's specification and its SDKs have them."""

# ruff: noqa: N815 - on the wire

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_FORKS = 100


class Body(BaseModel):
    model_config = ConfigDict(strict=True)


class Network(Body):
    """A create request's; unknown names are kept out, for nothing here would act on them."""

    allowOut: list[str] | None = None
    denyOut: list[str] | None = None
    dnsServers: list[str] | None = None
    rules: dict[str, list[dict[str, Any]]] | None = None
    egressProxy: dict[str, Any] | None = None
    allowPublicTraffic: bool | None = None
    maskRequestHost: str | None = None
    httpsPorts: list[int] | None = None


class NetworkUpdate(Body):
    allowOut: list[str] | None = None
    denyOut: list[str] | None = None
    dnsServers: list[str] | None = None
    rules: dict[str, list[dict[str, Any]]] | None = None
    egressProxy: dict[str, Any] | None = None
    allow_internet_access: bool | None = None


class AutoResume(Body):
    enabled: bool = False


class NewSandbox(Body):
    """Version 2 of a create; version 1 differs in its defaults and knows `secure`."""

    templateID: str = Field(min_length=1)
    timeout: int = Field(default=300, ge=0)
    autoPause: bool = False
    autoPauseMemory: bool = True
    autoResume: AutoResume | None = None
    allow_internet_access: bool | None = None
    network: Network | None = None
    metadata: dict[str, str] | None = None
    envVars: dict[str, str] | None = None
    mcp: dict[str, Any] | None = None
    iam: dict[str, Any] | None = None
    volumeMounts: list[dict[str, Any]] | None = None


class NewSandboxV1(NewSandbox):
    timeout: int = Field(default=15, ge=0)
    secure: bool = False


class Connect(Body):
    timeout: int = Field(default=300, ge=0)
    memory: bool = True


class Resume(Body):
    timeout: int = Field(default=15, ge=0)
    autoPause: bool | None = None


class Timeout(Body):
    timeout: int = Field(ge=0)


class Refresh(Body):
    duration: int = Field(default=15, ge=0, le=3600)


class Pause(Body):
    memory: bool = True
    requireHealthyGuest: bool = False


class Snapshot(Body):
    name: str | None = None
    memory: bool = True


class Fork(Body):
    timeout: int = Field(default=15, ge=0)
    count: int = Field(default=1, ge=1, le=MAX_FORKS)


class TemplateRequest(Body):
    name: str | None = Field(default=None, max_length=128)
    alias: str | None = Field(default=None, max_length=128)
    tags: list[str] | None = None
    cpuCount: int = Field(default=2, ge=1)
    memoryMB: int = Field(default=1024, ge=128)
    teamID: str | None = None
    minFreeDiskMB: int | None = None


class Step(Body):
    type: str
    args: list[str] = Field(default_factory=list[str])
    filesHash: str | None = None
    force: bool = False
    forceUpload: bool | None = None


class BuildStart(Body):
    fromImage: str | None = None
    fromTemplate: str | None = None
    fromImageRegistry: dict[str, Any] | None = None
    force: bool = False
    steps: list[Step] = Field(default_factory=list[Step])
    startCmd: str | None = None
    readyCmd: str | None = None


class TemplateUpdate(Body):
    public: bool | None = None


class Tags(Body):
    target: str
    tags: list[str] = Field(min_length=1)


class NoTags(Body):
    name: str
    tags: list[str] = Field(min_length=1)
