"""Stands between an SDK and a service, hands everything through, and holds each answer against the description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.contract.descriptions import Description, description

if TYPE_CHECKING:
    from starlette.requests import Request

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Recorder:
    """One service's; `wrong` is what was not as described since it was last emptied, `seen` the operations called."""

    def __init__(self, vendor: str, service: str, prefix: str = "") -> None:
        self._description: Description = description(vendor)
        self._prefix = prefix
        self._client = httpx.AsyncClient(base_url=service, timeout=60, verify=service.startswith("https:"))
        # A twin builds its links from the address its caller used; a vendor's front door insists on its own name.
        self._replaced = HOP_BY_HOP - ({"host"} if service.startswith("http:") else set[str]())
        self.wrong: list[str] = []
        self.seen: set[str] = set()

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._pass, methods=METHODS)])

    async def close(self) -> None:
        await self._client.aclose()

    async def _pass(self, request: Request) -> Response:
        address = httpx.URL(
            path=request.url.path, raw_path=request.scope["raw_path"] + _query(request), host=None, scheme=None
        )
        headers = [(name, value) for name, value in request.headers.items() if name not in self._replaced]
        outgoing = self._client.build_request(request.method, address, headers=headers, content=await request.body())
        answer = await self._client.send(outgoing, stream=True)
        dropped = HOP_BY_HOP | {"date"}  # our own server says it, too, and two of them are none
        passed = {name: value for name, value in answer.headers.multi_items() if name.lower() not in dropped}
        if answer.headers.get("content-length") == "0":  # said as it is: some clients read a body where none is told
            await answer.aclose()
            return Response(status_code=answer.status_code, headers=passed)
        if "json" not in answer.headers.get("content-type", ""):
            stream = answer.aiter_raw()
            return StreamingResponse(stream, answer.status_code, passed, background=BackgroundTask(answer.aclose))
        body = await answer.aread()
        await answer.aclose()
        self._hold_against(request, answer.status_code, body)
        passed.pop("content-encoding", None)
        return Response(body, answer.status_code, passed)

    def _hold_against(self, request: Request, status: int, body: bytes) -> None:
        path = request.scope["raw_path"].decode().removeprefix(self._prefix)
        if operation := self._description.find(request.method, path):
            self.seen.add(operation.name)
            self.wrong += self._description.faults(request.method, path, status, json.loads(body or b"null"))


def _query(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    return b"?" + query if query else b""
