"""What a well-formed request must also be: the rules between its fields, in the API's sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from server.twins.anthropic import images, order
from server.twins.anthropic.asked import CountRequest, MessageRequest, OldMessageRequest, VendorTool, sentence
from server.twins.anthropic.conversation import blocks_of
from server.twins.anthropic.errors import error, invalid
from server.twins.anthropic.models import MAX_INPUT_TOKENS, MAX_TOKENS, MODEL

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.twins.anthropic.conversation import Json
    from server.twins.anthropic.prompt import Prompt

OLD_VERSION = "2023-06-01"
BREAKPOINTS = 4
_Asked = TypeVar("_Asked", bound=CountRequest)


def check_message(body: Json, version: str, credential: Secret) -> MessageRequest:
    """The request, if the API would take it. Raises the error it would answer with."""
    asked = _parse(OldMessageRequest if version == OLD_VERSION else MessageRequest, body)
    _check_model(asked.model)
    if asked.max_tokens > MAX_TOKENS:
        raise invalid(
            f"max_tokens: {asked.max_tokens} > {MAX_TOKENS}, which is the maximum allowed number of output tokens "
            f"for {MODEL}"
        )
    _check_all(asked, body, version, credential)
    budget = getattr(asked.thinking, "budget_tokens", 0)
    if budget and budget >= asked.max_tokens:
        raise invalid(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"
        )
    return asked


def check_count(body: Json, version: str, credential: Secret) -> CountRequest:
    """The same for counting, which has no answer to limit."""
    asked = _parse(CountRequest, body)
    _check_model(asked.model)
    _check_all(asked, body, version, credential)
    return asked


def check_length(prompt: Prompt) -> None:
    if prompt.tokens > MAX_INPUT_TOKENS:
        raise invalid(f"prompt is too long: {prompt.tokens} tokens > {MAX_INPUT_TOKENS} maximum")


def _parse(kind: type[_Asked], body: Json) -> _Asked:
    try:
        return kind.model_validate(body)
    except ValidationError as problem:
        raise invalid(sentence(problem)) from None


def _check_model(model: str) -> None:
    if model != MODEL:
        raise error(404, f"model: {model}")


def _check_all(asked: CountRequest, body: Json, version: str, credential: Secret) -> None:
    order.check(body["messages"], credential, old=version == OLD_VERSION)
    images.check(body["messages"])
    _check_tools(asked)
    _check_breakpoints(asked, body)


def _check_tools(asked: CountRequest) -> None:
    tools = asked.tools or []
    if unknown := sorted({tool.type for tool in tools if isinstance(tool, VendorTool)}):
        raise invalid(f"'{MODEL}' does not support tool types: {', '.join(unknown)}. Did you mean one of custom?")
    names = [tool.name for tool in tools if not isinstance(tool, VendorTool)]
    if len({*names}) < len(names):
        raise invalid("tools: Tool names must be unique.")
    choice = asked.tool_choice
    if choice is None:
        return
    if not tools and choice.type != "none":
        raise invalid("tool_choice may only be specified while providing tools.")
    if choice.type == "tool" and choice.name not in names:
        raise invalid(f"Tool '{choice.name}' not found in provided tools")
    if choice.type in ("any", "tool") and asked.thinking and asked.thinking.type in ("enabled", "adaptive"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _check_breakpoints(asked: CountRequest, body: Json) -> None:
    """At most four, and none of an hour after one of five minutes, in the order the prompt is read."""
    marks = [*_marks("tools", body.get("tools") or [])]
    marks += _marks("system", blocks_of(body.get("system") or []))
    for number, message in enumerate(body["messages"]):
        marks += _marks(f"messages.{number}.content", blocks_of(message["content"]))
    if asked.cache_control:
        marks.append(("cache_control", asked.cache_control.ttl))
    if len(marks) > BREAKPOINTS:
        raise invalid(f"A maximum of {BREAKPOINTS} blocks with cache_control may be provided. Found {len(marks)}.")
    short = False
    for place, ttl in marks:
        if short and ttl == "1h":
            raise invalid(
                f"{place}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: `tools`, `system`, "
                "`messages`."
            )
        short = short or ttl == "5m"


def _marks(place: str, blocks: list[Json]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for index, block in enumerate(blocks):
        if control := block.get("cache_control"):
            found.append((f"{place}.{index}", control.get("ttl") or "5m"))
        if block.get("type") == "tool_result":
            found += _marks(f"{place}.{index}.content", blocks_of(block.get("content") or []))
    return found
