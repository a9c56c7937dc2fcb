"""The Messages API's routes that our loop and the vendor's SDK use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.twins.anthropic import requests, stream
from server.twins.anthropic.errors import error, invalid, request_id
from server.twins.anthropic.play import Beat, next_beat
from server.twins.anthropic.requests import MODEL
from server.twins.anthropic.script import ScriptError, Shelf
from server.twins.core import ids
from server.twins.core.auth import bearer, same

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from server.twins.anthropic.conversation import Json
    from server.twins.core import Site

CARD = {"type": "model", "id": MODEL, "display_name": "Rehearsal (a script, not a model)"}


class Rehearsal:
    def __init__(self, site: Site, scripts: Path) -> None:
        self._site = site
        self._shelf = Shelf(scripts)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/messages", self.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count_tokens, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/models/{model}", self.model),
        ]

    async def messages(self, request: Request) -> Response:
        asked = requests.check(await self._body(request), self._site.credential)
        offered = {str(tool.get("name")) for tool in asked.get("tools", [])}
        try:
            beat = next_beat(asked["messages"], offered, self._shelf.scripts())
        except ScriptError as wrong:
            raise error(500, f"The rehearsal's script does not fit its app: {wrong}") from None
        message, headers = self._message(beat, asked), {"request-id": request_id()}
        if asked.get("stream"):
            return StreamingResponse(stream.events(message), media_type="text/event-stream", headers=headers)
        return JSONResponse(message, headers=headers)

    async def count_tokens(self, request: Request) -> Response:
        asked = requests.check(await self._body(request), self._site.credential, counting=True)
        return JSONResponse({"input_tokens": _prompt_tokens(asked)})

    async def models(self, request: Request) -> Response:
        self._admit(request)
        page = {"data": [self._card()], "has_more": False, "first_id": MODEL, "last_id": MODEL}
        return JSONResponse(page, headers={"request-id": request_id()})

    async def model(self, request: Request) -> Response:
        self._admit(request)
        if request.path_params["model"] != MODEL:
            raise error(404, f"model: {request.path_params['model']}")
        return JSONResponse(self._card(), headers={"request-id": request_id()})

    def _card(self) -> Json:
        return {**CARD, "created_at": "2026-01-01T00:00:00Z"}

    def _admit(self, request: Request) -> None:
        """The SDK sends a key as a bearer token today and as `x-api-key` before; the API takes both."""
        key = request.headers.get("x-api-key") or bearer(request)
        if not key:
            raise error(401, "x-api-key header is required")
        if not same(key, self._site.credential):
            raise error(401, "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            raise invalid("anthropic-version: header is required")

    async def _body(self, request: Request) -> Any:
        self._admit(request)
        try:
            return json.loads(await request.body())
        except ValueError:
            raise invalid("The request body is not valid JSON") from None

    def _message(self, beat: Beat, asked: Json) -> Json:
        for block in beat.blocks:
            if block["type"] == "thinking":
                block["signature"] = requests.signature(block["thinking"], self._site.credential)
        declined = {"type": "refusal", "category": None, "explanation": None}
        return {
            "id": ids.token("msg_01", 22),
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": beat.blocks,
            "stop_reason": beat.stop,
            "stop_sequence": None,
            "stop_details": declined if beat.stop == "refusal" else None,
            "usage": {
                "input_tokens": _prompt_tokens(asked),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": _tokens(beat.blocks),
                "service_tier": "standard",
            },
        }


def _prompt_tokens(asked: Json) -> int:
    return _tokens({name: asked.get(name) for name in ("system", "tools", "messages")})


def _tokens(content: Any) -> int:
    """An estimate: four tokens for three words. There is no tokenizer here."""
    return 1 + len(json.dumps(content, ensure_ascii=False).split()) * 4 // 3
