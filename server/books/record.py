"""What is known of one session: its key, its legs and what came of each."""

from __future__ import annotations

from base64 import b32encode
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from server.secrets import Secret
from server.settings import VENDOR_OF, LegName

if TYPE_CHECKING:
    from server.errors import LegError

State = Literal["provisioning", "ready", "partial", "failed", "destroyed"]
STANDING = {"made", "found"}


class SessionKey(Secret):
    """128 random bits, URL-safe: the tenant, and a bearer secret."""

    @property
    def slug(self) -> str:
        """The public name: 12 characters of base32 of a hash of the key, one way."""
        return b32encode(sha256(self.reveal().encode()).digest())[:12].decode().lower()


class Problem(BaseModel):
    """Why something is missing, in our words."""

    code: str
    message: str
    next_action: str = ""
    retryable: bool = False

    @classmethod
    def of(cls, error: LegError) -> Problem:
        return cls(code=error.code, message=error.message, next_action=error.next_action, retryable=error.retryable)


class Leg(BaseModel):
    """One vendor's part of a session."""

    name: LegName
    vendor: str
    outcome: Literal["pending", "made", "found", "skipped", "failed"] = "pending"
    ms: int | None = Field(default=None, description="How long it took, in milliseconds")
    env_names: list[str] = Field(default_factory=list)
    reference: dict[str, str] = Field(default_factory=dict, description="The vendor's ids; never a secret")
    error: Problem | None = None

    @property
    def stands(self) -> bool:
        return self.outcome in STANDING

    @classmethod
    def failed(cls, name: LegName, problem: Problem) -> Leg:
        return cls(name=name, vendor=VENDOR_OF[name], outcome="failed", error=problem)

    @classmethod
    def absent(cls, name: LegName, *, asked: bool) -> Leg:
        return cls(name=name, vendor=VENDOR_OF[name], outcome="pending" if asked else "skipped")


class Session(BaseModel):
    """What anybody who holds the key may know about a session."""

    slug: str
    app_id: str
    state: State
    idea: str = ""
    created_at: datetime
    generation: int = Field(default=0, description="How many rounds of provisioning were started")
    services: list[LegName]
    legs: list[Leg]
    round: list[LegName] = Field(default_factory=list["LegName"], exclude=True)
    ending: bool = Field(default=False, exclude=True)

    def leg(self, name: LegName) -> Leg:
        return next(leg for leg in self.legs if leg.name == name)

    @property
    def has_ended(self) -> bool:
        """Its end has come, or was asked for: nothing may be made for it any more."""
        return self.ending or self.state == "destroyed"

    @property
    def env_names(self) -> list[str]:
        return [name for leg in self.legs for name in leg.env_names]

    @property
    def sandbox_id(self) -> str | None:
        return self.leg("vm").reference.get("sandbox_id")

    @property
    def preview_url(self) -> str | None:
        return self.leg("vm").reference.get("preview_url")

    @property
    def repository_url(self) -> str | None:
        return self.leg("git").reference.get("url")

    @property
    def came_to(self) -> State:
        """What a finished round makes of the session."""
        asked = [leg for leg in self.legs if leg.name in self.services or leg.stands]
        standing = sum(leg.stands for leg in asked)
        if standing == len(asked):
            return "ready"
        return "partial" if standing else "failed"
