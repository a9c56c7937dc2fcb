"""The MCP server: provisions a session's backend and opens its VM to a model."""

__version__ = "0.1.0"
