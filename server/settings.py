"""What the operator set: a vendor or a twin, per leg.

A leg with a credential speaks to the vendor. One without takes the values of the local stack, which the
composition root hands in as `defaults`; nothing past this file knows the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.errors import BadInput
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LegName = Literal["database", "mail", "analytics", "git", "vm"]
SERVICES: tuple[LegName, ...] = ("database", "mail", "analytics", "git")
LEGS: tuple[LegName, ...] = (*SERVICES, "vm")
VENDOR_OF: dict[LegName, str] = {
    "database": "neon",
    "mail": "resend",
    "analytics": "posthog",
    "git": "github",
    "vm": "e2b",
}


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class Settings(BaseSettings):
    """Read from the environment. Vendor credentials keep the names their own SDKs read."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    neon_api_key: Secret | None = None
    neon_base_url: str = Field(
        default="https://console.neon.tech/api/v2", validation_alias=_named("MK0R_NEON_BASE_URL")
    )
    neon_org_id: str | None = None
    neon_region: str = Field(default="aws-us-east-2", validation_alias=_named("MK0R_NEON_REGION"))
    neon_pg_version: int = Field(default=17, validation_alias=_named("MK0R_NEON_PG_VERSION"))

    resend_api_key: Secret | None = None
    resend_base_url: str = Field(default="https://api.resend.com", validation_alias=_named("MK0R_RESEND_BASE_URL"))
    resend_from: str | None = None
    resend_domain_id: str | None = None

    posthog_key: str | None = Field(default=None, validation_alias=_named("POSTHOG_KEY", "POSTHOG_API_KEY"))
    posthog_host: str = "https://us.i.posthog.com"

    github_token: Secret | None = None
    github_owner: str | None = Field(default=None, validation_alias=_named("MK0R_GITHUB_OWNER"))
    github_api_url: str = Field(default="https://api.github.com", validation_alias=_named("MK0R_GITHUB_API_URL"))
    github_git_url: str = Field(default="https://github.com", validation_alias=_named("MK0R_GITHUB_GIT_URL"))

    e2b_api_key: Secret | None = None
    e2b_api_url: str | None = Field(default=None, validation_alias=_named("MK0R_E2B_API_URL"))
    e2b_sandbox_url: str | None = Field(default=None, validation_alias=_named("MK0R_E2B_SANDBOX_URL"))
    e2b_template: str = Field(default="mk0r", validation_alias=_named("MK0R_E2B_TEMPLATE"))
    sandbox_timeout_seconds: int = Field(default=3600, ge=60, validation_alias=_named("MK0R_SANDBOX_TIMEOUT_SECONDS"))

    anthropic_api_key: Secret | None = None
    anthropic_auth_token: Secret | None = None
    anthropic_base_url: str | None = None
    model: str = Field(default="claude-sonnet-5-5", validation_alias=_named("MK0R_MODEL"))

    limit_neon: str = Field(default="700/m 40/s", validation_alias=_named("MK0R_LIMIT_NEON"))
    limit_resend: str = Field(default="2/s", validation_alias=_named("MK0R_LIMIT_RESEND"))
    limit_github: str = Field(default="80/m 500/h", validation_alias=_named("MK0R_LIMIT_GITHUB"))
    limit_e2b: str = Field(default="1/s", validation_alias=_named("MK0R_LIMIT_E2B"))
    limit_contacts: str = Field(default="20/m", validation_alias=_named("MK0R_LIMIT_CONTACTS"))
    """Contacts one app may add through the relay: a small share of what Resend takes of all of them."""

    leg_budget_seconds: float = Field(default=60, gt=0, validation_alias=_named("MK0R_LEG_BUDGET_SECONDS"))
    queue_seconds: float = Field(default=300, ge=0, validation_alias=_named("MK0R_QUEUE_SECONDS"))
    """A leg waits so long for its turns at a vendor; that is not of its budget."""
    sessions_at_once: int = Field(default=128, ge=1, validation_alias=_named("MK0R_SESSIONS_AT_ONCE"))
    """So many one server provisions at a time; the others wait in the order they came."""
    session_ttl_hours: float = Field(default=0, ge=0, validation_alias=_named("MK0R_SESSION_TTL_HOURS"))
    """Sessions unused for so long are abandoned, and the reaper may end them; 0 keeps them for ever."""
    reap_every_minutes: float = Field(default=0, ge=0, validation_alias=_named("MK0R_REAP_EVERY_MINUTES"))
    """How often the server sweeps and removes by itself; 0: only `mk0r reap` does."""
    reap_grace_minutes: float = Field(default=60, ge=0, validation_alias=_named("MK0R_REAP_GRACE_MINUTES"))
    reap_cap: int = Field(default=100, ge=1, validation_alias=_named("MK0R_REAP_CAP"))
    pool_size: int = Field(default=0, ge=0, le=1000, validation_alias=_named("MK0R_POOL_SIZE"))
    """Whole sessions made ahead, of all servers on one database together; 0 makes none."""
    pool_max_age_hours: float = Field(default=12, gt=0, validation_alias=_named("MK0R_POOL_MAX_AGE_HOURS"))
    worker_alive_seconds: float = Field(default=15, ge=0.5, validation_alias=_named("MK0R_WORKER_ALIVE_SECONDS"))
    public_url: str | None = Field(default=None, validation_alias=_named("MK0R_PUBLIC_URL"))
    database_url: Secret | None = Field(default=None, validation_alias=_named("MK0R_DATABASE_URL"))
    secret_key: Secret | None = Field(default=None, validation_alias=_named("MK0R_SECRET_KEY"))

    def with_local(self, defaults: Mapping[str, Any]) -> Settings:
        """These settings, with the local stack's values (by field name) for every vendor left to a twin."""
        local = {name: value for name, value in defaults.items() if _vendor_of_field(name) in self.twins()}
        return self.model_copy(update=local)

    def twins(self) -> frozenset[str]:
        """The vendors that have no credential here and so are served by a twin."""
        live = {
            "neon": self.neon_api_key,
            "resend": self.resend_api_key and self.resend_from,
            "posthog": self.posthog_key,
            "github": self.github_token and self.github_owner,
            "e2b": self.e2b_api_key,
            "anthropic": self.anthropic_api_key or self.anthropic_auth_token or self.anthropic_base_url,
        }
        return frozenset(vendor for vendor, credential in live.items() if not credential)

    def check(self) -> None:
        """Refuse a combination that cannot work, in one sentence. Raises `BadInput`."""
        if self.database_url and not self.secret_key:
            raise BadInput(
                "MK0R_DATABASE_URL is set and MK0R_SECRET_KEY is not: what one server seals, the others must open.",
                next_action="Give every server the same one; `openssl rand -base64 32 | tr +/ -_` makes it.",
            )
        twins = self.twins()
        unreachable = sorted(twins & {"neon", "resend", "posthog"})
        if "e2b" not in twins and unreachable:
            raise BadInput(
                f"A live E2B sandbox cannot reach the local {', '.join(unreachable)} on this machine.",
                next_action="Set their credentials too, or unset E2B_API_KEY. `mk0r doctor` lists the names.",
            )
        if not (twins & {"e2b", "resend"} or self.public_url):
            raise BadInput(
                "A live E2B sandbox cannot reach this machine's contacts relay.",
                next_action="Set MK0R_PUBLIC_URL to the https address under which this server can be reached.",
            )


def _vendor_of_field(name: str) -> str:
    return "anthropic" if name == "model" else name.partition("_")[0]


def chosen_services(names: Collection[str] | None) -> tuple[LegName, ...]:
    """The legs a new session begins with: the VM always, the services named (all of them when none is)."""
    return LEGS if names is None else tuple(leg for leg in LEGS if leg == "vm" or leg in named_legs(names))


def named_legs(names: Collection[str]) -> set[LegName]:
    """The legs named, by what they give or by their vendor. Raises `BadInput` for a name that is neither."""
    known = {*SERVICES, "vm", "none"}
    vendors = {vendor: leg for leg, vendor in VENDOR_OF.items()}
    asked = {vendors.get(name.strip().lower(), name.strip().lower()) for name in names}
    if unknown := sorted(asked - known - {""}):
        raise BadInput(
            f"There is no service called {', '.join(unknown)}.",
            next_action=f"Choose from {', '.join(SERVICES)}, or `none`.",
        )
    return {leg for leg in LEGS if leg in asked}
