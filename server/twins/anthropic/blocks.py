"""The content blocks of a request, and what each may hold. Names and limits are those of the Messages API reference.

The locations pydantic reports over these models are the API's own: `messages.0.content.1.image.source.base64.data`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

ID = r"^[a-zA-Z0-9_-]+$"


class Part(BaseModel):
    """Part of a request: exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Ephemeral(Part):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


def kind(value: Any) -> Any:
    """The `type` of what came over the wire, or of what it was made into."""
    return cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else getattr(value, "type", None)


CacheControl = Annotated[Annotated[Ephemeral, Tag("ephemeral")], Discriminator(kind)]


class Cacheable(Part):
    """A block at which a cached prefix may end."""

    cache_control: CacheControl | None = None


class Base64Source(Part):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(Part):
    type: Literal["url"]
    url: str


class FileSource(Part):
    type: Literal["file"]
    file_id: str


class Transformations(Part):
    oversized_image: Literal["downsize", "error"] = "downsize"


class Text(Cacheable):
    type: Literal["text"]
    text: str
    citations: list[dict[str, Any]] | None = None


class Image(Cacheable):
    type: Literal["image"]
    source: Annotated[Base64Source | UrlSource | FileSource, Field(discriminator="type")]
    transformations: Transformations | None = None


class PlainText(Part):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class Base64Pdf(Part):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str


class Citations(Part):
    enabled: bool = False


class Document(Cacheable):
    type: Literal["document"]
    source: Annotated[PlainText | Base64Pdf | UrlSource | FileSource, Field(discriminator="type")]
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResult(Cacheable):
    type: Literal["search_result"]
    source: str
    title: str
    content: list[Text]
    citations: Citations | None = None


class Thinking(Part):
    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinking(Part):
    type: Literal["redacted_thinking"]
    data: str


class ToolUse(Cacheable):
    type: Literal["tool_use"]
    id: Annotated[str, Field(pattern=ID)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


def in_blocks(content: Any) -> Any:
    """A string is short for one text block, an empty one for none."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


class ToolResult(Cacheable):
    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(pattern=ID)]
    content: Annotated[
        list[Annotated[Text | Image | Document | SearchResult, Field(discriminator="type")]],
        BeforeValidator(in_blocks),
    ] = []
    is_error: bool = False
    toolset_name: str | None = None


Block = Text | Image | Document | SearchResult | Thinking | RedactedThinking | ToolUse | ToolResult


class Message(Part):
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Annotated[Block, Field(discriminator="type")]], BeforeValidator(in_blocks)]
