"""The host of the model: an MCP client of the server, and the views a person uses."""
