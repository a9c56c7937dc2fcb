"""The MCP door: the tools, what they answer, and how a caller that waits hears of progress."""
