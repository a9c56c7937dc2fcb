"""The program itself: one server with the page, the API, MCP and the durable runs."""
