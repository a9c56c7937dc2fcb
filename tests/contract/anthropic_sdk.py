"""What the tests of the Messages API share: an idea, a greeting, tools and pictures, and how they read an answer."""

from __future__ import annotations

from base64 import b64encode
from struct import pack
from typing import TYPE_CHECKING, Any
from zlib import compress, crc32

if TYPE_CHECKING:
    import anthropic as vendor
    from anthropic.types import Message

IDEA = "A run tracker that actually saves my runs"
HELLO: list[Any] = [{"role": "user", "content": "Say hello in three words."}]
TOOLS: list[Any] = [
    {
        "name": name,
        "description": "Part of a workshop.",
        "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    }
    for name in ("get_env", "read_file", "run_in_vm", "write_files", "preview_app")
]


def png(width: int, height: int) -> str:
    """A black picture, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data))

    rows = compress((b"\0" + b"\0" * width) * height)
    head = chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b64encode(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")).decode()


def picture(data: str, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


async def create(sdk: vendor.AsyncAnthropic, **asked: Any) -> Message:
    """A whole message; the overloads that would stream are no concern of these tests."""
    messages: Any = sdk.messages
    return await messages.create(**asked)


def but(asked: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {**asked, **other}


def words(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def calls(message: Any) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]
