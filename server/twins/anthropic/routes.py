"""The Messages API's routes: wire in, wire out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.twins.anthropic import models, order, play, prompt, rules, stream
from server.twins.anthropic.answer import Answer, compose
from server.twins.anthropic.asked import CustomTool
from server.twins.anthropic.diagnosis import Diagnosis
from server.twins.anthropic.door import body_of
from server.twins.anthropic.errors import error, invalid, request_id
from server.twins.anthropic.interruptions import Interruptions
from server.twins.anthropic.limits import Limits
from server.twins.anthropic.operator import operator_routes
from server.twins.anthropic.prompt_cache import PromptCache
from server.twins.anthropic.script import ScriptError
from server.twins.core import ids

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.anthropic.asked import CountRequest, MessageRequest
    from server.twins.anthropic.conversation import Json
    from server.twins.anthropic.door import Door
    from server.twins.anthropic.prompt_cache import Read
    from server.twins.anthropic.script import Shelf
    from server.twins.anthropic.state import Conversations
    from server.twins.core import Site


class Rehearsal:
    def __init__(self, site: Site, door: Door, shelf: Shelf, conversations: Conversations) -> None:
        self._site = site
        self._shelf = shelf
        self._conversations = conversations
        self._door = door
        self._limits = Limits(site, door.organization)
        self._cache = PromptCache(site)
        self._diagnosis = Diagnosis()
        self._interruptions = Interruptions()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/messages", self.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count_tokens, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/models/{model_id}", self.model),
            *operator_routes(self._site, self._interruptions),
        ]

    def forget(self) -> None:
        """What was cached belongs to the state that is being put away."""
        self._cache.clear()
        self._diagnosis.clear()

    async def messages(self, request: Request) -> Response:
        version = self._door.admit(request)
        body = await body_of(request)
        asked = rules.check_message(body, version, self._site.credential)
        seen = prompt.read(body)
        rules.check_length(seen)
        self._check_end(asked, body)
        answer = self._answer(asked, body)
        read = self._cache.read(seen)
        self._limits.admit(read.charged)
        self._limits.spend(answer.output_tokens)
        message = self._message(answer, asked, read)
        if asked.diagnostics:
            message["diagnostics"] = self._diagnosis.of(asked.diagnostics.previous_message_id, seen, read)
        self._diagnosis.remember(message["id"], seen, read)
        self._conversations.note(body, message)
        headers = {**self._headers(), **self._limits.headers()}
        if not asked.stream:
            return JSONResponse(message, headers=headers)
        told = self._interruptions.through(stream.events(message, answer.unfinished), headers["request-id"])
        return StreamingResponse(told, media_type="text/event-stream", headers={**headers, "cache-control": "no-cache"})

    async def count_tokens(self, request: Request) -> Response:
        version = self._door.admit(request)
        body = await body_of(request)
        self._check_end(rules.check_count(body, version, self._site.credential), body)
        self._limits.admit_count()
        return JSONResponse({"input_tokens": prompt.read(body).tokens}, headers=self._headers())

    async def models(self, request: Request) -> Response:
        self._door.admit(request)
        return JSONResponse(models.page(request.query_params), headers=self._headers())

    async def model(self, request: Request) -> Response:
        self._door.admit(request)
        return JSONResponse(models.one(request.path_params["model_id"]), headers=self._headers())

    def _check_end(self, asked: CountRequest, body: Json) -> None:
        """The model takes the turn; it never goes on in the middle of one but where it paused itself."""
        messages = body["messages"]
        if messages[-1]["role"] == "assistant" and not play.paused(messages, _offered(asked), self._shelf.scripts()):
            raise invalid(order.PREFILL)

    def _headers(self) -> dict[str, str]:
        return {"request-id": request_id()}

    def _answer(self, asked: MessageRequest, body: Json) -> Answer:
        if asked.max_tokens == 0:
            return Answer([], "max_tokens")  # only to fill the cache: nothing is said
        try:
            return compose(play.next_beat(body["messages"], _offered(asked), self._shelf.scripts()), asked)
        except ScriptError as wrong:
            raise error(500, f"The rehearsal's script does not fit its app: {wrong}") from None

    def _message(self, answer: Answer, asked: MessageRequest, read: Read) -> Json:
        declined = {"type": "refusal", "category": None, "explanation": answer.explanation}
        return {
            "id": ids.token("msg_01", 22),
            "type": "message",
            "role": "assistant",
            "model": models.MODEL,
            "content": [self._signed(block) for block in answer.blocks],
            "stop_reason": answer.stop_reason,
            "stop_sequence": answer.stop_sequence,
            "stop_details": declined if answer.stop_reason == "refusal" else None,
            "usage": {
                "input_tokens": read.fresh,
                "cache_creation_input_tokens": read.put,
                "cache_read_input_tokens": read.found,
                "cache_creation": {"ephemeral_5m_input_tokens": read.put_5m, "ephemeral_1h_input_tokens": read.put_1h},
                "output_tokens": answer.output_tokens,
                "output_tokens_details": {"thinking_tokens": answer.thinking_tokens},
                "service_tier": "standard",
                "inference_geo": asked.inference_geo or "global",
            },
        }

    def _signed(self, block: Json) -> Json:
        if block["type"] == "thinking":
            return {**block, "signature": order.signature(block["thinking"], self._site.credential)}
        return {**block, "caller": {"type": "direct"}} if block["type"] == "tool_use" else block


def _offered(asked: CountRequest) -> set[str]:
    return {tool.name for tool in asked.tools or [] if isinstance(tool, CustomTool)}
