"""What `POST /v1/messages` and `/v1/messages/count_tokens` take, field by field (Messages API reference)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError

from server.twins.anthropic.blocks import Cacheable, CacheControl, Message, Part, Text, in_blocks, kind


class InputSchema(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    type: Literal["object"]
    properties: dict[str, Any] | None = None
    required: list[str] | None = None


class CustomTool(Cacheable):
    type: Literal["custom"] | None = None
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    description: str | None = None
    input_schema: InputSchema
    strict: bool | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[str] | None = None
    input_examples: list[dict[str, Any]] | None = None


class VendorTool(BaseModel):
    """A tool the vendor defines, by its dated type. It is recognised, and refused by the model's rules."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str


def _tool_tag(tool: Any) -> str:
    return "custom" if kind(tool) in (None, "custom") else "vendor"


Tool = Annotated[Annotated[CustomTool, Tag("custom")] | Annotated[VendorTool, Tag("vendor")], Discriminator(_tool_tag)]


class ChooseAuto(Part):
    type: Literal["auto"]
    disable_parallel_tool_use: bool = False


class ChooseAny(Part):
    type: Literal["any"]
    disable_parallel_tool_use: bool = False


class ChooseTool(Part):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool = False


class ChooseNone(Part):
    type: Literal["none"]


class Enabled(Part):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: Literal["summarized", "omitted"] | None = None


class Adaptive(Part):
    type: Literal["adaptive"]
    display: Literal["summarized", "omitted"] | None = None


class Disabled(Part):
    type: Literal["disabled"]


class BetweenTools(Part):
    type: Literal["between_tools"]


class Metadata(Part):
    user_id: Annotated[str, Field(max_length=256)] | None = None


class JsonFormat(Part):
    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Part):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class Diagnostics(Part):
    previous_message_id: str | None = None


def _say_something(sequence: str) -> str:
    if not sequence.strip():
        raise ValueError("each stop sequence must contain non-whitespace")
    return sequence


def _many(value: Any) -> Any:
    """A list as the tuple a frozen request holds; anything else is for the field to refuse."""
    blocks = in_blocks(value)
    return tuple(cast("list[Any]", blocks)) if isinstance(blocks, list) else value


class CountRequest(Part):
    """What is counted is what would be sent."""

    model: Annotated[str, Field(min_length=1)]
    messages: list[Message]
    system: Annotated[tuple[Text, ...], BeforeValidator(_many)] = ()
    tools: list[Tool] | None = None
    tool_choice: Annotated[ChooseAuto | ChooseAny | ChooseTool | ChooseNone, Field(discriminator="type")] | None = None
    thinking: Annotated[Enabled | Adaptive | Disabled | BetweenTools, Field(discriminator="type")] | None = None
    cache_control: CacheControl | None = None
    output_config: OutputConfig | None = None
    speed: Literal["standard"] | None = None


class MessageRequest(CountRequest):
    max_tokens: Annotated[int, Field(ge=0)]
    stream: bool = False
    metadata: Metadata | None = None
    stop_sequences: Annotated[tuple[Annotated[str, AfterValidator(_say_something)], ...], BeforeValidator(_many)] = ()
    service_tier: Literal["auto", "standard_only"] = "auto"
    inference_geo: str | None = None
    diagnostics: Diagnostics | None = None


class OldMessageRequest(MessageRequest):
    """As of version 2023-06-01; the next one took the three away (Claude docs, Migrating to API version 2026-10-21).

    A script has nothing to sample: they change nothing here.
    """

    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None


def sentence(problem: ValidationError) -> str:
    """The first thing that is wrong, in the API's words: a path, a colon, what was expected there."""
    first = problem.errors()[0]
    place, told = first["loc"], first["msg"]
    match first["type"]:
        case "union_tag_not_found":
            place, told = (*place, "type"), "Field required"
        case "model_type" | "model_attributes_type":
            told = "Input should be a valid dictionary"
        case "value_error":
            # `stop_sequences: …` names the list and not the place in it.
            place, told = place[:1], told.removeprefix("Value error, ")
        case _:
            told = told.replace("kind()", "'type'")
    return f"{'.'.join(str(step) for step in place)}: {told}"
