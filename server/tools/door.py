"""The MCP server itself: which tools there are, and what a call that was wrong is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import ValidationError

from server.tools import sessions, work
from server.tools.views import without_titles

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult, InputRequiredResult, Tool

    from server.workbench import Workbench


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
    sessions.offer(server, bench)
    work.offer(server, bench)
