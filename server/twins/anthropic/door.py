"""Who may come in, with what: the key, the version, the workspace, and no more than the API takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid5

from starlette.datastructures import MutableHeaders

from server.twins.anthropic.errors import error, invalid
from server.twins.core.auth import bearer, digest, same

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from server.twins.anthropic.conversation import Json
    from server.twins.core import Site

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
REQUEST_BYTES = 32 * 1024 * 1024
"""Of a request to the Messages API or to token counting (Claude docs, Errors)."""
_NAMES = UUID("8c0f7a52-5f0e-4d6e-9d0b-0b8f3a7f1e11")


class Door:
    def __init__(self, site: Site) -> None:
        self._credential = site.credential
        known = digest(site.credential.reveal())
        self.organization = str(uuid5(_NAMES, known))
        self.workspace = f"wrkspc_01{known[:22]}"

    def admit(self, request: Request) -> str:
        """The API version the caller speaks. Raises what the API answers a stranger with.

        The SDKs send a key as a bearer token, and sent it as `x-api-key` before; where both are, that one counts.
        """
        key, token = request.headers.get("x-api-key", ""), bearer(request)
        if not key and not token:
            raise error(401, "x-api-key header is required")
        if not same(key or token, self._credential):
            raise error(401, "invalid x-api-key" if key else "Invalid bearer token")
        version = request.headers.get("anthropic-version", "")
        if not version:
            raise invalid("anthropic-version: header is required")
        if version not in VERSIONS:
            raise invalid(f'anthropic-version: "{version}" is not a valid version')
        if request.headers.get("anthropic-workspace-id", self.workspace) != self.workspace:
            raise error(403, "Your API key does not have permission to use the specified workspace.")
        return version

    def named(self, app: ASGIApp) -> ASGIApp:
        """`app`, which then says with every answer whose it is; a refusal too."""
        names = (("anthropic-organization-id", self.organization), ("anthropic-workspace-id", self.workspace))

        async def naming(scope: Scope, receive: Receive, send: Send) -> None:
            async def told(message: Message) -> None:
                if message["type"] == "http.response.start" and not scope["path"].startswith("/_twin"):
                    for name, value in names:
                        MutableHeaders(scope=message)[name] = value
                await send(message)

            await app(scope, receive, told)

        return naming


async def body_of(request: Request) -> Json:
    """The request's JSON object. Raises 413 before a byte too many is kept."""
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) > REQUEST_BYTES:
            raise error(413, "Request exceeds the maximum size")
    try:
        told: Any = json.loads(held)
    except ValueError as problem:
        raise invalid(f"The request body is not valid JSON: {problem}") from None
    if not isinstance(told, dict):
        raise invalid("The request body is not valid JSON: expected an object")
    return cast("Json", told)
