"""The tools: validate, call, return a typed result; no logic.

Annotations are real objects here, not strings: the MCP server makes each tool's schema from them.
"""

import asyncio
import inspect
import json
from functools import wraps
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult, ImageContent, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.errors import Mk0rError
from server.sessions import Session, SessionKey
from server.settings import chosen_services
from server.workbench import Workbench

Key = Annotated[str, Field(description="The session's key, from provision_session.", max_length=64)]
Path = Annotated[
    str,
    Field(description="A file under /app (absolute, or relative to /app).", min_length=1, max_length=400),
]


def _without_titles(schema: dict[str, Any]) -> None:
    """A title that repeats the name in capitals tells a model nothing and costs it tokens."""
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)


class View(BaseModel):
    """What a tool answers, or takes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_titles)


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


class CommandView(View):
    exit_code: int = Field(description="124 means it ran out of time")
    stdout: str
    stderr: str
    truncated: bool = Field(description="True when the middle of a long output was left out")
    ms: int


class FileToWrite(View):
    path: Path
    content: str = Field(description="The whole file", max_length=1_000_000)


class WrittenView(View):
    written: list[str]


class FileView(View):
    path: str
    content: str
    truncated: bool


class PreviewView(View):
    url: str = Field(description="Where a person can open the app")
    status: int
    title: str
    text: str = Field(description="What the page says, cut to 2,000 characters")
    console_errors: list[str]
    ms: int


class PushView(View):
    commit: str
    branch: str
    pushed: bool = Field(description="False when the repository already had this commit")


class ToolServer(MCPServer[Any]):
    """Says what is wrong with a call's arguments without repeating them: the session's key is one of them."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(f"{name} was not called: {_wrong(error.__cause__)}.") from None
            raise


def _wrong(error: ValidationError) -> str:
    told = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in told)


def register(server: MCPServer[Any], bench: Workbench) -> None:
    """Offer the tools on `server`."""

    def opened(session_key: str) -> Session:
        return bench.sessions.authenticate(session_key)

    @server.tool(title="Start a session", annotations=_hints(idempotent=True))
    @_in_our_words
    async def provision_session(
        ctx: Context[Any, Any],
        session_key: Annotated[
            str | None, Field(description="Leave out for a new session. The same key gives the same session.")
        ] = None,
        services: Annotated[
            list[str] | None,
            Field(description="database, mail, analytics, git. All when left out; a VM is always made."),
        ] = None,
        wait_seconds: Annotated[float, Field(ge=0, le=50, description="Answer after this long at the latest.")] = 30,
    ) -> SessionView:
        """Make a session's backend: Postgres, mail, analytics, a git repository and a VM, in parallel.

        Returns when every service has an outcome, or after wait_seconds: then poll get_session.
        A service that failed blocks nothing; its names are absent from /app/.env.
        """
        key = SessionKey(session_key) if session_key else bench.sessions.mint()
        session = bench.sessions.open(key, services=chosen_services(services))
        asked = session.services if services is None else chosen_services(services)
        await bench.provisioner.start(session.slug, asked)
        session = await _with_progress(ctx, bench, session.slug, wait_seconds)
        return _view(session, None if session_key else key)

    @server.tool(title="Look at a session", annotations=_hints(read_only=True))
    @_in_our_words
    async def get_session(session_key: Key) -> SessionView:
        """The session's state, what each service came to, and where its preview and repository are."""
        return _view(opened(session_key))

    @server.tool(title="List environment names", annotations=_hints(read_only=True))
    @_in_our_words
    async def get_env(session_key: Key) -> EnvView:
        """The names in /app/.env with the service each comes from. Values never leave the VM."""
        session = opened(session_key)
        values = bench.values(session)
        return EnvView(
            names=[
                EnvName(name=name, service=service, fingerprint=secret.fingerprint())
                for name, (service, secret) in values.items()
            ],
            missing=[
                {"service": leg.name, "outcome": leg.outcome, "why": leg.error.message if leg.error else None}
                for leg in session.legs
                if leg.outcome not in {"made", "found"}
            ],
        )

    @server.tool(title="Run a command", annotations=_hints(destructive=True, open_world=True))
    @_in_our_words
    async def run_in_vm(
        session_key: Key,
        command: Annotated[str, Field(min_length=1, max_length=20_000, description="Run by bash in the VM.")],
        cwd: Annotated[str, Field(max_length=400, description="Where to run it.")] = "/app",
        timeout_seconds: Annotated[int, Field(ge=1, le=600, description="Stopped after this long.")] = 60,
    ) -> CommandView:
        """Run a shell command in the session's VM and wait for it to end. Secrets in the output are masked."""
        done = await bench.run(opened(session_key), command, cwd=cwd, seconds=timeout_seconds)
        return CommandView.model_validate(done)

    @server.tool(title="Write files", annotations=_hints(destructive=True, idempotent=True))
    @_in_our_words
    async def write_files(
        session_key: Key,
        files: Annotated[list[FileToWrite], Field(min_length=1, max_length=100, description="Written together.")],
    ) -> WrittenView:
        """Write whole files under /app; folders are made as needed. The preview reloads by itself."""
        contents = {file.path: file.content for file in files}
        return WrittenView(written=await bench.write(opened(session_key), contents))

    @server.tool(title="Read a file", annotations=_hints(read_only=True))
    @_in_our_words
    async def read_file(session_key: Key, path: Path) -> FileView:
        """The text of a file under /app, cut after 100,000 characters. /app/.env cannot be read: use get_env."""
        return FileView.model_validate(await bench.read(opened(session_key), path))

    @server.tool(title="Look at the app", annotations=_hints(read_only=True))
    @_in_our_words
    async def preview_app(
        session_key: Key,
        path: Annotated[str, Field(max_length=400, description="Path in the app, beginning with /.")] = "/",
    ) -> Annotated[CallToolResult, PreviewView]:
        """Open the app in a real browser at 390x844: what it says, its console errors, and a screenshot."""
        seen, picture = await bench.preview(opened(session_key), path)
        view = PreviewView.model_validate(seen).model_dump()
        return CallToolResult(
            content=[
                TextContent(type="text", text=json.dumps(view)),
                ImageContent(type="image", data=picture, mime_type="image/png"),
            ],
            structured_content=view,
        )

    @server.tool(title="Commit and push", annotations=_hints(idempotent=True, open_world=True))
    @_in_our_words
    async def git_push(
        session_key: Key,
        message: Annotated[str, Field(min_length=1, max_length=2000, description="The commit message.")],
    ) -> PushView:
        """Commit everything in /app and push it to the session's private repository.

        Refused when a commit holds a secret of this session. The VM needs no git credential.
        """
        pushed = await bench.push(opened(session_key), message)
        return PushView(commit=pushed.commit, branch=pushed.branch, pushed=pushed.changed)


def _hints(
    *, read_only: bool = False, destructive: bool = False, idempotent: bool = False, open_world: bool = False
) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=idempotent or read_only,
        open_world_hint=open_world,
    )


def _in_our_words(tool: Any) -> Any:
    """A caller reads what happened and what to do next; anything unforeseen stays in the server's log."""

    @wraps(tool)
    async def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return await tool(*args, **kwargs)
        except Mk0rError as error:
            raise ToolError(str(error)) from None

    told.__doc__ = inspect.cleandoc(tool.__doc__)
    return told


async def _with_progress(ctx: Context[Any, Any], bench: Workbench, slug: str, seconds: float) -> Session:
    """Wait for provisioning and tell the caller as each service comes on."""

    async def tell() -> None:
        seen = done = 0
        while True:
            for event in await bench.events.wait(slug, seen, 5):
                seen = event.seq
                if event.type == "leg.finished":
                    done += 1
                    legs = len(bench.sessions.by_slug(slug).services)
                    await ctx.report_progress(done, legs, f"{event.data['leg']}: {event.data['outcome']}")

    telling = asyncio.create_task(tell())
    try:
        return await bench.provisioner.wait(slug, seconds)
    finally:
        telling.cancel()


def _view(session: Session, new_key: SessionKey | None = None) -> SessionView:
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
        next_step=_NEXT[session.state],
    )


_NEXT = {
    "provisioning": "Poll get_session until the state changes.",
    "ready": "Read skill://backend-services/SKILL.md, then write the app.",
    "partial": "Read skill://backend-services/SKILL.md and guard what is missing; the rest works.",
    "failed": "Call provision_session again with the same key, or see why in legs.",
    "destroyed": "Start a new session.",
}
