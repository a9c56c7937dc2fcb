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
from mcp.types import CallToolResult, ImageContent, InputRequiredResult, TextContent, Tool, ToolAnnotations
from pydantic import Field, ValidationError

from server.books.sessions import Session, SessionKey
from server.books.store import Event
from server.errors import Mk0rError, UserError
from server.settings import chosen_services
from server.telling import Progress, newest_round
from server.views import (
    CommandView,
    DestroyedView,
    EnvName,
    EnvView,
    FileToWrite,
    FileView,
    Key,
    Path,
    PreviewView,
    PushView,
    SessionsView,
    SessionView,
    WrittenView,
    session_view,
    without_titles,
)
from server.workbench import Workbench

MOST_LISTED = 100
OPERATOR = "mk0r.operator"
"""In an ASGI scope: true where whoever sent the request is the operator."""


class ToolServer(MCPServer[Any]):
    """Says what is wrong with a call's arguments without repeating them: the session's key is one of them."""

    async def list_tools(self) -> list[Tool]:
        tools = await super().list_tools()
        for tool in tools:
            without_titles(tool.input_schema)
        return tools

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
    _offer_sessions(server, bench)
    _offer_work(server, bench)


def _offer_sessions(server: MCPServer[Any], bench: Workbench) -> None:
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
        chosen = chosen_services(services)
        if not session_key and (claimed := await bench.pool.claim("", chosen)):
            return session_view(bench.sessions.by_slug(claimed.slug), claimed)
        key = SessionKey(session_key) if session_key else bench.sessions.mint()
        session = bench.sessions.open(key, services=chosen)
        asked = session.services if services is None else chosen
        await bench.provisioner.start(session.slug, asked)
        session = await _with_progress(ctx, bench, session.slug, wait_seconds)
        return session_view(session, None if session_key else key)

    @server.tool(title="Look at a session", annotations=_hints(read_only=True))
    @_in_our_words
    async def get_session(session_key: Key) -> SessionView:
        """The session's state, what each service came to, and where its preview and repository are."""
        return session_view(bench.sessions.authenticate(session_key))

    @server.tool(title="Destroy a session", annotations=_hints(destructive=True, idempotent=True, open_world=True))
    @_in_our_words
    async def destroy_session(session_key: Key) -> DestroyedView:
        """Remove the session's database, mail, repository and VM, for good. When it failed, call it again."""
        slug = bench.sessions.belonging_to(session_key).slug
        await bench.provisioner.destroy(slug)
        return DestroyedView(destroyed=slug)

    @server.tool(title="List sessions", annotations=_hints(read_only=True))
    @_in_our_words
    async def list_sessions(ctx: Context[Any, Any]) -> SessionsView:
        """Every session of this server, without keys. Only for its operator."""
        if not _is_operators(ctx):
            raise UserError(
                "Only the operator may list sessions.",
                next_action="Use the session_key you were given, or run `mk0r mcp` on the server's machine.",
                code="not_operator",
            )
        found = bench.sessions.all(MOST_LISTED)
        lines = [
            {
                "slug": s.slug,
                "state": s.state,
                "idea": s.idea[:200],
                "created_at": s.created_at.isoformat("T", "minutes"),
            }
            for s in found
        ]
        return SessionsView(sessions=lines, more=max(bench.sessions.count() - len(found), 0))


def _offer_work(server: MCPServer[Any], bench: Workbench) -> None:
    def opened(session_key: str) -> Session:
        return bench.sessions.authenticate(session_key)

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
        return WrittenView.model_validate(await bench.write(opened(session_key), contents))

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


def _is_operators(ctx: Context[Any, Any]) -> bool:
    """Whether the web app found the operator's token on the request that carries this call."""
    return getattr(ctx.request_context.request, "scope", {}).get(OPERATOR) is True


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
    """Wait for provisioning and tell the caller, if it asked to be told, as each service comes on."""
    if (ctx.request_context.meta or {}).get("progress_token") is None:
        return await bench.provisioner.wait(slug, seconds)

    seen, story = 0, Progress()

    async def tell(events: list[Event]) -> None:
        nonlocal seen
        for event in events if seen else newest_round(events):
            seen = event.seq
            if said := story.told(event):
                await ctx.report_progress(*said)

    async def listen() -> None:
        while True:
            await tell(await bench.events.wait(slug, seen, 5))

    listening = asyncio.create_task(listen())
    try:
        session = await bench.provisioner.wait(slug, seconds)
    finally:
        listening.cancel()
    await tell(bench.events.since(slug, seen))
    return session
