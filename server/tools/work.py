"""The tools that work in a session: validate, call, return a typed result; no logic.

Annotations are real objects here, not strings: the MCP server makes each tool's schema from them.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from server.books.sessions import Session
from server.tools.telling import telling
from server.tools.views import (
    CommandView,
    EnvName,
    EnvView,
    FileToWrite,
    FileView,
    Key,
    Path,
    PreviewView,
    PushView,
    WrittenView,
)
from server.tools.words import hints, in_our_words
from server.workbench import Workbench


def offer(server: MCPServer[Any], bench: Workbench) -> None:
    @asynccontextmanager
    async def opened(ctx: Context[Any, Any], session_key: str) -> AsyncGenerator[Session]:
        """The session; should its VM have to be replaced first, the caller hears of it."""
        session = bench.sessions.authenticate(session_key)
        async with telling(ctx, bench, session.slug):
            yield session

    @server.tool(title="List environment names", annotations=hints(read_only=True))
    @in_our_words
    async def get_env(session_key: Key) -> EnvView:
        """The names in /app/.env with the service each comes from. Values never leave the VM."""
        session = bench.sessions.authenticate(session_key)
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

    @server.tool(title="Run a command", annotations=hints(destructive=True, open_world=True))
    @in_our_words
    async def run_in_vm(
        ctx: Context[Any, Any],
        session_key: Key,
        command: Annotated[str, Field(min_length=1, max_length=20_000, description="Run by bash in the VM.")],
        cwd: Annotated[str, Field(max_length=400, description="Where to run it.")] = "/app",
        timeout_seconds: Annotated[int, Field(ge=1, le=600, description="Stopped after this long.")] = 60,
    ) -> CommandView:
        """Run a shell command in the session's VM and wait for it to end. Secrets in the output are masked."""
        async with opened(ctx, session_key) as session:
            done = await bench.run(session, command, cwd=cwd, seconds=timeout_seconds)
        return CommandView.model_validate(done)

    @server.tool(title="Write files", annotations=hints(destructive=True, idempotent=True))
    @in_our_words
    async def write_files(
        ctx: Context[Any, Any],
        session_key: Key,
        files: Annotated[list[FileToWrite], Field(min_length=1, max_length=100, description="Written together.")],
    ) -> WrittenView:
        """Write whole files under /app; folders are made as needed. The preview reloads by itself."""
        async with opened(ctx, session_key) as session:
            written = await bench.write(session, {file.path: file.content for file in files})
        return WrittenView.model_validate(written)

    @server.tool(title="Read a file", annotations=hints(read_only=True))
    @in_our_words
    async def read_file(ctx: Context[Any, Any], session_key: Key, path: Path) -> FileView:
        """The text of a file under /app, cut after 100,000 characters. /app/.env cannot be read: use get_env."""
        async with opened(ctx, session_key) as session:
            return FileView.model_validate(await bench.read(session, path))

    @server.tool(title="Look at the app", annotations=hints(read_only=True))
    @in_our_words
    async def preview_app(
        ctx: Context[Any, Any],
        session_key: Key,
        path: Annotated[str, Field(max_length=400, description="Path in the app, beginning with /.")] = "/",
    ) -> Annotated[CallToolResult, PreviewView]:
        """Open the app in a real browser at 390x844: what it says, its console errors, and a screenshot."""
        async with opened(ctx, session_key) as session:
            seen, picture = await bench.preview(session, path)
        view = PreviewView.model_validate(seen).model_dump()
        return CallToolResult(
            content=[
                TextContent(type="text", text=json.dumps(view)),
                ImageContent(type="image", data=picture, mime_type="image/png"),
            ],
            structured_content=view,
        )

    @server.tool(title="Commit and push", annotations=hints(idempotent=True, open_world=True))
    @in_our_words
    async def git_push(
        ctx: Context[Any, Any],
        session_key: Key,
        message: Annotated[str, Field(min_length=1, max_length=2000, description="The commit message.")],
    ) -> PushView:
        """Commit everything in /app and push it to the session's private repository.

        Refused when a commit holds a secret of this session. The VM needs no git credential.
        """
        async with opened(ctx, session_key) as session:
            pushed = await bench.push(session, message)
        return PushView(commit=pushed.commit, branch=pushed.branch, pushed=pushed.changed)
