"""The tools that begin, show and end sessions: validate, call, return a typed result; no logic.

Annotations are real objects here, not strings: the MCP server makes each tool's schema from them.
"""

from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

from server.books.sessions import SessionKey
from server.errors import UserError
from server.settings import chosen_services
from server.tools.telling import telling
from server.tools.views import DestroyedView, Key, SessionsView, SessionView, session_view
from server.tools.words import hints, in_our_words
from server.workbench import Workbench

MOST_LISTED = 100
OPERATOR = "mk0r.operator"
"""In an ASGI scope: true where whoever sent the request is the operator."""


def offer(server: MCPServer[Any], bench: Workbench) -> None:
    @server.tool(title="Start a session", annotations=hints(idempotent=True))
    @in_our_words
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
        async with telling(ctx, bench, session.slug, newest=True):
            session = await bench.provisioner.wait(session.slug, wait_seconds)
        return session_view(session, None if session_key else key)

    @server.tool(title="Look at a session", annotations=hints(read_only=True))
    @in_our_words
    async def get_session(session_key: Key) -> SessionView:
        """The session's state, what each service came to, and where its preview and repository are."""
        return session_view(bench.sessions.authenticate(session_key))

    @server.tool(title="Destroy a session", annotations=hints(destructive=True, idempotent=True, open_world=True))
    @in_our_words
    async def destroy_session(session_key: Key) -> DestroyedView:
        """Remove the session's database, mail, repository and VM, for good. When it failed, call it again."""
        slug = bench.sessions.belonging_to(session_key).slug
        await bench.provisioner.destroy(slug)
        return DestroyedView(destroyed=slug)

    @server.tool(title="List sessions", annotations=hints(read_only=True))
    @in_our_words
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


def _is_operators(ctx: Context[Any, Any]) -> bool:
    """Whether the web app found the operator's token on the request that carries this call."""
    return getattr(ctx.request_context.request, "scope", {}).get(OPERATOR) is True
