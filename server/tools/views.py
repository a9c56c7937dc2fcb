"""What the tools take and answer.

Annotations are real objects here, not strings: the MCP server makes each tool's schema from them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from server.books.sessions import Session, SessionKey

Key = Annotated[str, Field(description="The session's key, from provision_session.", max_length=64)]
Path = Annotated[
    str,
    Field(description="A file under /app (absolute, or relative to /app).", min_length=1, max_length=400),
]


def without_titles(schema: dict[str, Any]) -> None:
    """A title that repeats the name in capitals tells a model nothing and costs it tokens."""
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)


class View(BaseModel):
    """What a tool answers, or takes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=without_titles)


class SessionView(View):
    """A session as a caller sees it."""

    session_key: str | None = Field(default=None, description="Keep this: it opens the session. Only given when new.")
    slug: str
    app_id: str = Field(description="Names every resource of the session")
    state: str = Field(description="provisioning, ready, partial (something failed; the rest works), or failed")
    legs: list[dict[str, Any]] = Field(description="Each service: outcome, milliseconds, and why it is missing")
    env_names: list[str] = Field(description="The names in /app/.env")
    preview_url: str | None
    repository_url: str | None
    next_step: str


class EnvName(View):
    """A name in `/app/.env`. The value stays in the VM."""

    name: str
    service: str
    fingerprint: str = Field(description="Tells two values apart and gives neither away")


class EnvView(View):
    names: list[EnvName]
    missing: list[dict[str, Any]] = Field(description="Services without names here, and why")


class InVmView(View):
    """What a call in the VM answers."""

    notice: str = Field(default="", description="Unless empty, read it first")


class CommandView(InVmView):
    exit_code: int = Field(description="124 means it ran out of time")
    stdout: str
    stderr: str
    truncated: bool = Field(description="True when the middle of a long output was left out")
    ms: int


class FileToWrite(View):
    path: Path
    content: str = Field(description="The whole file", max_length=1_000_000)


class WrittenView(InVmView):
    written: list[str]


class FileView(InVmView):
    path: str
    content: str
    truncated: bool


class PreviewView(InVmView):
    url: str = Field(description="Where a person can open the app")
    status: int
    title: str
    text: str = Field(description="What the page says, cut to 2,000 characters")
    console_errors: list[str]
    ms: int


class SessionsView(View):
    sessions: list[dict[str, str]] = Field(description="slug, state, idea, created_at; newest first")
    more: int = Field(description="How many older ones are not shown")


class DestroyedView(View):
    destroyed: str = Field(description="Its slug")


class PushView(View):
    commit: str
    branch: str
    pushed: bool = Field(description="False when the repository already had this commit")


def session_view(session: Session, new_key: SessionKey | None = None) -> SessionView:
    """`new_key` is told once, to whoever has just been given it."""
    legs = [leg.model_dump(exclude={"reference", "env_names"}, exclude_none=True) for leg in session.legs]
    return SessionView(
        session_key=new_key.reveal() if new_key else None,
        slug=session.slug,
        app_id=session.app_id,
        state=session.state,
        legs=legs,
        env_names=session.env_names,
        preview_url=session.preview_url,
        repository_url=session.repository_url,
        next_step=_next_step(session),
    )


def _next_step(session: Session) -> str:
    """What the caller does now. Without a VM there is nothing to write an app in, whatever else stands."""
    vm = session.leg("vm")
    if vm.error is None or session.state not in {"partial", "failed"}:
        return _NEXT[session.state]
    return f"There is no VM to build in; what else was made stands. {vm.error.next_action} {_AGAIN}"


_AGAIN = "Call provision_session again with the same key: it asks for the VM anew and puts every name into /app/.env."
_NEXT = {
    "provisioning": "Poll get_session until the state changes.",
    "ready": "Read skill://backend-services/SKILL.md, then write the app.",
    "partial": "Read skill://backend-services/SKILL.md and guard what is missing; the rest works.",
    "failed": "Call provision_session again with the same key, or see why in legs.",
    "destroyed": "Start a new session.",
}
